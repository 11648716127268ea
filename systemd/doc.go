// Package systemd holds the units of both daemons, with the users and file modes that they need; no code.
//
// In: nothing. Out: files that the packages install under /usr/lib/systemd, sysusers.d and tmpfiles.d.
// It guarantees, by its tests, that systemd takes them without a word, and that each daemon can do little else
// than its job. After a power cut both daemons start again by themselves, and go on trying for ever.
package systemd
