// Package web shows the fleet: a board for the wall, a page for each site, reports, a JSON API, and what machines ask.
//
// In: HTTP requests, the live state, queries. Out: pages that are whole without JavaScript, rows as server-sent
// events, JSON. Guarantees: an address answers only those whom its rule in rules.go names; no request to any other
// host, no inline script or style; the collector's own trouble is shown as such. It keeps nothing; after a power
// cut a board reconnects and asks for what it missed.
package web
