// Package telemetry is the contract that agent and collector share: identifiers, MQTT topics, the schema of
// every line, the batch codec, acknowledgements, presence, commands and their results. It imports nothing of ours but its own pack, which seals batches.
//
// In: values that were measured, or bytes off the network. Out: bytes on the wire, or checked values.
// Guarantees: every decoder is bounded in size, lines, tags, fields and expanded bytes, and never panics;
// what it accepts re-encodes to the same meaning. The package keeps no state, so a power cut costs it nothing.
package telemetry
