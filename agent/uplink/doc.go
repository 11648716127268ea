// Package uplink carries batches to the collector over MQTT and takes them out of the queue when the collector has stored them.
//
// In: batches from a queue (the spool), acknowledgements from the broker. Out: the same bytes again and again until an
// acknowledgement names the batch, stored or rejected; the presence of this agent; what the connection costs in bytes.
// A batch never leaves the queue for any other reason: a broker's own acknowledgement promises nothing. Nothing is kept across a
// power cut here; what was under way is still in the queue and goes again. A broker or collector that is gone is asked
// ever more seldom, with jitter, and a batch that is never answered does not hold up those behind it.
package uplink
