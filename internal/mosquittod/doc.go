// Package mosquittod runs a real Mosquitto broker for tests.
//
// In: a mosquitto.conf, as nabz-collector broker export writes it. Out: a process that listens where that says.
// It ends with its test. Without Mosquitto on the machine the test is skipped by name; with CI=true it fails. Retained messages are kept in the
// test's own folder and survive a stop; after a kill there is what was saved last, as after a power cut.
package mosquittod
