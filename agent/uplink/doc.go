// Package uplink carries batches to the collector over MQTT and takes them out of the queue when the collector has stored them.
//
// In: batches from a queue (the spool), acknowledgements and commands from the broker, answers to these. Out: the same bytes again and again until an
// acknowledgement names the batch, stored or rejected; the presence of this agent; what the connection costs in bytes; and
// what it tells of the link at no cost: when the far end was last known to be there, loss, round trips.
// A batch never leaves the queue for any other reason: a broker's own acknowledgement promises nothing. Nothing is kept across a
// power cut here; what was under way is still in the queue and goes again. A broker or collector that is gone is asked
// ever more seldom, with jitter, and a batch that is never answered does not hold up those behind it.
//
// # Cheap on bytes
//
// Batches go at QoS 0: the promise that counts is the collector's, and whether bytes have arrived the kernel tells (TCP_INFO). Where it
// does not (other systems than Linux), batches go at QoS 1. Behind a proxy in front of a satellite, which acknowledges for the broker, it tells what
// the proxy has: enough to make room for the next, and no evidence of the link. A batch of
// detail may be answered late, together with later ones; it has its place in the window only until it has arrived. A ping is sent
// when nothing else was for a keepalive. TLS sessions are resumed.
//
// # Keepalive
//
// CONNECT names the configured keepalive. The time between pings is that and a sixth, so that a batch which comes once a keepalive is
// the sign of life; a broker must wait half a keepalive more. When a connection dies in silence after a quiet time and a fresh one works
// at once, something on the way (a NAT, mostly) forgets silent connections: pings then come after half the time, not below 60 s, and a
// quarter later again each day.
package uplink
