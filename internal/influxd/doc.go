// Package influxd runs a real InfluxDB, 1.8 or 2.7, beside a test or the demo.
//
// In: a folder and an address. Out: the URL of a server that answers, on loopback; 1.8 with flux and TSI on, 2.7 set up.
// It guarantees that the server ends with the process that started it, even when that is killed, and that no two
// servers work in one folder. What the server has acknowledged survives Kill and a power cut: it syncs each write.
package influxd
