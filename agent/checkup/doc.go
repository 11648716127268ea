// Package checkup looks at a site from its router, in the order in which a field engineer mends: configuration, clock, interface,
// gateway, name resolution, internet, broker, credentials and a test line to the end, disk, memory.
//
// In: a configuration. Out: one finding a matter, each with what to do next where something is wrong. It asks little (about 15 kB,
// most of it the TLS handshake) and changes nothing on the machine; the test line is stored as an event of kind "check".
// It keeps nothing on disk.
package checkup
