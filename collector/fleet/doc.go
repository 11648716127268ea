// Package fleet knows the sites and agents of the programme, and what state each site is in.
//
// In: two TOML files (sites under version control, agents with the hash of their secret), and from intake what
// InfluxDB has stored. Out: answers to "who is this", "may it sign in", "what is its state".
// Guarantees: a file is replaced whole or not at all, so it survives a power cut at any instant; a broken file
// never takes the place of a good one that is in use. The live state is rebuilt from InfluxDB after a restart.
package fleet
