// Package mosquitto writes what a Mosquitto broker needs so that it can stand in for the embedded one.
//
// In: the agents' verifiers from the register, addresses, the certificate's files. Out: password and access files, and a piece of
// mosquitto.conf.
// Guarantees: no secret of an agent is known here; the collectors' own is made once and stays. Each file is replaced whole or not at all, so a
// power cut leaves the former or the next, and the same command makes the same again.
package mosquitto
