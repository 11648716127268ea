// Package load is the other side of a bench of the collector: programs of their own, so that what they use is not counted as the collector's.
//
// In: a plan as JSON, and lines on standard input that say when to begin and to stop. Out: a line of JSON each 50 ms: what was sent, acknowledged,
// refused, and how long answers took. Pour sends prepared batches over many plain connections from one thread, as fast as acknowledgements make room;
// Fleet is ten thousand patient agents over TLS, which come back as an agent does; Write posts the same lines to InfluxDB and does nothing else; Sink
// answers as an InfluxDB that keeps nothing; Fill leaves a backlog with a broker. All go by MQTT as it is on the wire, and none rests on the code of the collector.
package load
