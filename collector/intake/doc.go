// Package intake takes batches off MQTT, checks them, stamps them with who sent them, and has them stored.
//
// In: topic and payload of one message, already authenticated. Out: lines for InfluxDB, an acknowledgement for the
// agent, dead letters for what can never be stored.
// Guarantees: an acknowledgement goes out only after InfluxDB has answered or the dead letter is on disk, so a power
// cut at any instant loses nothing that was acknowledged. Memory is bounded: what does not fit is dropped without
// an acknowledgement, and the agent sends it again. Agents are heard in turns, so none waits behind the backlog of another.
package intake
