// Package people knows who may look and who may act: names, passwords, roles and sessions.
//
// In: users.toml, written by nabz-collector user, and tries to sign in. Out: answers to "who is this" and "what may they do".
// Guarantees: passwords and session tokens are kept as hashes only; a name that does not exist costs the time and gets the answer of a
// wrong password; hashing is bounded in memory and processors; a changed password or a removed user ends its sessions within a second.
// The users file is replaced whole, so a power cut leaves the old or the new one. Sessions are in a small file too: a screen on the wall
// comes back after one by itself, and who has signed out stays so.
package people
