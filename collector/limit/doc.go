// Package limit bounds how often a secret may be tried: one leaky bucket for each host, for each host in one name, for each name, and one for all.
//
// In: who asks, in whose name, and when. Out: a try, or how long to wait for one.
// Guarantees: memory is bounded whoever asks; one host cannot use up the tries of all, nor, where the rates are chosen so, those of
// a name that is not its own. Nothing survives a power cut, and nothing has to: buckets that are empty are as good as new.
package limit
