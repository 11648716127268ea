// Package enrol lets a router become an agent of the programme, by a token that is good once.
//
// In: a request (telemetry.EnrolRequest) with the word of a token and the hash of a secret that the router made by itself. Out: the
// agent's configuration, and the certificate of the authority behind the brokers; the hash lies in the register then.
// Guarantees: a token gives one agent one secret. The same request again gets the same answer, since answers are lost on bad links; nobody
// who reads a token later can do anything with it. How often words are tried is bounded. What survives a power cut is the register's.
package enrol
