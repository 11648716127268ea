// Package web embeds the browser libraries that the board uses, unchanged, each with its licence.
//
// In: packages.toml, which pins version and hashes. Out: Files, such as "uplot/uPlot.esm.js", to serve from one's
// own address, so that a page asks no other host.
// It guarantees, by its tests, that every byte is the published package's. It writes nothing.
package web
