package web

import (
	"net/http"

	"github.com/smartvillage/nabz/collector/people"
)

// rule is who may ask for an address.
type rule struct {
	need   people.Role // "" only with all
	all    bool        // anybody, signed in or not
	script bool        // HTTP basic will do, and who is not signed in is told so in JSON
	local  bool        // whoever is on this machine, too
}

var (
	everybody = rule{all: true}
	looks     = rule{need: people.Viewer}
	asks      = rule{need: people.Viewer, script: true}
	acts      = rule{need: people.Operator}
	commands  = rule{need: people.Operator, script: true}
)

// rules has one for each pattern that is registered, and is the only place that says who may do what. An address without a rule answers nobody.
// What changes something in a village, or in who may do so, needs people.Operator, and is recorded by server.record, or by who
// does it.
var rules = map[string]rule{
	"/":                                         looks,
	"GET /{$}":                                  looks,
	"GET /map":                                  looks,
	"GET /alerts":                               looks,
	"POST /alerts/{id}/acknowledge":             acts,
	"GET /events":                               asks,
	"GET /sites/{id}":                           looks,
	"GET /sites/{id}/events":                    asks,
	"POST /sites/{id}/comment":                  acts,
	"POST /sites/{id}/acknowledge":              acts,
	"POST /sites/{id}/maintenance":              acts,
	"POST /sites/{id}/commands":                 acts,
	"GET /maintenance":                          looks,
	"POST /maintenance":                         acts,
	"POST /maintenance/{window}/cancel":         acts,
	"GET /static/":                              everybody, // scripts and styles, the same for all
	"GET /api/v1/me":                            asks,
	"GET /api/v1/sites":                         asks,
	"GET /api/v1/sites/{id}":                    asks,
	"GET /api/v1/sites/{id}/series":             asks,
	"GET /api/v1/sites/{id}/commands":           commands,
	"POST /api/v1/sites/{id}/commands":          commands,
	"GET /api/v1/alerts":                        asks,
	"GET /api/v1/maintenance":                   asks,
	"POST /api/v1/maintenance":                  commands,
	"POST /api/v1/maintenance/{window}/cancel":  commands,
	"GET /reports":                              looks,
	"GET /reports/preview":                      looks,
	"GET /reports/preview/{form}":               asks,
	"POST /reports":                             acts,
	"GET /reports/{id}":                         looks,
	"GET /reports/{id}/{revision}":              looks,
	"GET /reports/{id}/{revision}/check":        looks,
	"GET /reports/{id}/{revision}/{form}":       asks,
	"POST /reports/{id}/shares":                 acts,
	"POST /reports/{id}/shares/{share}/revoke":  acts,
	"GET /shared/{token}":                       everybody, // who has a link to share, which is a secret
	"GET /shared/{token}/{form}":                everybody,
	"GET /shared/":                              everybody, // is nothing
	"GET /api/v1/reports":                       asks,
	"POST /api/v1/reports":                      commands,
	"GET /api/v1/reports/preview":               asks,
	"GET /api/v1/reports/{id}":                  asks,
	"GET /api/v1/reports/{id}/{revision}":       asks,
	"GET /api/v1/reports/{id}/{revision}/check": asks,
	"/api/":          asks,
	"GET /help":      everybody, // the pages of docs/, which are no secret
	"GET /help/":     everybody,
	"GET /healthz":   everybody,
	"GET /readyz":    everybody,
	"GET /metrics":   {need: people.Viewer, script: true, local: true},
	"GET /sign-in":   everybody,
	"POST /sign-in":  everybody,
	"POST /sign-out": everybody,
}

// doors is a mux that lets nobody past the rule of a pattern, and knows its patterns.
type doors struct {
	*http.ServeMux
	s        *server
	patterns []string
}

// Handle registers a handler behind the rule of its pattern.
func (d *doors) Handle(pattern string, h http.Handler) {
	d.patterns = append(d.patterns, pattern)
	d.ServeMux.Handle(pattern, d.s.guard(pattern, h))
}

// HandleFunc is Handle for a function.
func (d *doors) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	d.Handle(pattern, http.HandlerFunc(h))
}
