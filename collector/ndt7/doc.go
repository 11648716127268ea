// Package ndt7 serves speed tests to the programme's own agents, by the ndt7 protocol of Measurement Lab.
//
// In: an agent's credentials, against which it hands out a token of two minutes; then WebSockets that carry the token
// in the query as access_token, so that any ndt7 client can be given one. Out: random bytes (download) or nothing but
// counts (upload), with a measurement as JSON four times a second: what was sent or received, and on Linux what the
// kernel knows of the connection (TCP_INFO). Guarantees: no test without a token, a token carries one test in each
// direction, one test of an agent and Config.AtOnce in all at a time, each bounded in time and bytes. Nothing is kept:
// tokens are signed with a key of this process, so none is good after a restart.
package ndt7
