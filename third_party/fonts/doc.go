// Package fonts embeds the fonts that documents are set in, unchanged, each with its licence.
//
// In: packages.toml, which pins version and hashes. Out: Files, such as "expo-google-fonts/open-sans/OpenSans_400Regular.ttf",
// to embed in a PDF or to serve from one's own address, so that a page asks no other host.
// It guarantees, by its tests, that every byte is the published package's. It writes nothing.
package fonts
