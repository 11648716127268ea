// Package outbox is what waits to be written to one MQTT connection besides what a library writes there.
//
// In: messages at QoS 0. Out: their bytes, all that has come together at once. Guarantees: a slow reader costs its own
// goroutine and a bounded number of messages, and keeps nobody waiting. It keeps nothing over a power cut: what is lost here is an
// acknowledgement, whose batch is sent again.
package outbox
