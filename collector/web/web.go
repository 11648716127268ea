package web

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/smartvillage/nabz/collector/alert"
	"github.com/smartvillage/nabz/collector/audit"
	"github.com/smartvillage/nabz/collector/command"
	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/journal"
	"github.com/smartvillage/nabz/collector/people"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

// Querier is what the pages need of the store.
type Querier interface {
	Query(ctx context.Context, tier telemetry.Tier, influxQL string) ([]store.Series, error)
}

// Check is the health of one thing that the collector depends on. Err says what is wrong and what to do, nil
// that it is well.
type Check struct {
	Name string
	Err  error
	Next string // the very command to type next on the collector's machine; "" where there is none
	file bool   // that people write: it is not taken in, and states are as they are all the same
}

// faults is what is wrong with the collector itself.
type faults []Check

// Stale tells whether states are as they were last stored because of one of them.
func (f faults) Stale() bool { return slices.ContainsFunc(f, func(c Check) bool { return !c.file }) }

// AlertBook is what the pages need of the alerts.
type AlertBook interface {
	Active() []alert.Alert
	Calm() time.Time
	Recent(most int) []alert.Alert
	Deliveries(most int) []alert.Delivery
	Subscribe() (ch <-chan struct{}, cancel func())
}

// Config is what the pages show. Live, Store and Now are required.
type Config struct {
	Registry *fleet.Registry // for the fault of a changed file; may be nil
	Live     *fleet.Live
	Store    Querier
	Metrics  prometheus.Gatherer // nil: no /metrics
	Ready    func() []Check      // called for each page and every few seconds for each board, so it must not wait; nil: always well
	Now      func() time.Time    // its location is the time zone of the board
	Log      *slog.Logger

	Alerts AlertBook // nil: there are no alerts

	Open        bool             // nobody has to sign in, and all are viewers: for a listener on loopback only
	Proxy       bool             // a proxy on this machine says in X-Forwarded-For for whom it asks
	People      *people.People   // who may sign in; these three may be nil only with Open
	Sessions    *people.Sessions //
	Audit       *audit.Log       //
	SessionLife time.Duration    // how long a browser keeps its cookie

	Journal  *journal.Journal   // what operators write down; nil: nothing can be written, and no site is in maintenance
	Commands *command.Commander // carries commands to agents; nil: none can be sent
	Reports  *Reports           // nil: none are made or kept here
	Help     http.Handler       // answers /help and below, for everybody; nil: there is none
}

type server struct {
	Config
	assets *assets
	pages  *template.Template
	boards chan struct{} // one place for each open event stream
	hub    *hub

	textMu sync.Mutex
	texts  map[string]searched // by site
}

// maxBoards bounds the event streams that are open at once.
const maxBoards = 256

// readWithin is how long a page waits for InfluxDB. One that hangs must not keep the live part, which needs none, from
// whoever asks what is wrong.
const readWithin = 8 * time.Second

// New makes the handler. Timeouts are the caller's; an event stream lifts its own write deadline, and ends with
// its request's context, so let http.Server.BaseContext end when the server is to stop.
func New(c Config) (http.Handler, error) {
	s, err := newServer(c)
	if err != nil {
		return nil, err
	}
	return s.handler(), nil
}

func (s *server) handler() http.Handler {
	h := secure(s.sameOrigin(compress(s.routes())))
	if s.Proxy {
		h = behindProxy(h)
	}
	return h
}

func newServer(c Config) (*server, error) {
	if c.Live == nil || c.Store == nil || c.Now == nil {
		return nil, errors.New("web: Live, Store and Now are required")
	}
	if !c.Open && (c.People == nil || c.Sessions == nil || c.Audit == nil) {
		return nil, errors.New("web: People, Sessions and Audit are required where the board is not Open")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Ready == nil {
		c.Ready = func() []Check { return nil }
	}
	assets, err := loadAssets()
	if err != nil {
		return nil, fmt.Errorf("load the embedded files of the board: %w", err)
	}
	pages, err := template.New("").Funcs(template.FuncMap{"asset": assets.url, "dict": dict}).ParseFS(templates, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("read the embedded templates: %w", err)
	}
	return &server{Config: c, assets: assets, pages: pages, boards: make(chan struct{}, maxBoards), texts: map[string]searched{},
		hub: &hub{start: time.Now(), rows: map[string]*drawn{}}}, nil
}

func (s *server) routes() *doors {
	mux := &doors{ServeMux: http.NewServeMux(), s: s}
	mux.HandleFunc("GET /{$}", s.board)
	mux.HandleFunc("GET /map", s.mapPage)
	mux.HandleFunc("GET /alerts", s.alertsPage)
	mux.HandleFunc("POST /alerts/{id}/acknowledge", s.acknowledgeAlert)
	mux.HandleFunc("GET /events", s.events)
	mux.HandleFunc("GET /sites/{id}", s.site)
	mux.HandleFunc("GET /sites/{id}/events", s.siteEvents)
	mux.HandleFunc("POST /sites/{id}/comment", s.comment)
	mux.HandleFunc("POST /sites/{id}/acknowledge", s.acknowledge)
	mux.HandleFunc("POST /sites/{id}/maintenance", s.plan)
	mux.HandleFunc("GET /maintenance", s.maintenance)
	mux.HandleFunc("POST /maintenance", s.plan)
	mux.HandleFunc("POST /maintenance/{window}/cancel", s.cancel)
	mux.HandleFunc("GET /static/", s.assets.serve)
	mux.HandleFunc("GET /sign-in", s.signInForm)
	mux.HandleFunc("POST /sign-in", s.signIn)
	mux.HandleFunc("POST /sign-out", s.signOut)
	mux.HandleFunc("GET /api/v1/me", s.apiMe)
	mux.HandleFunc("GET /api/v1/sites", s.apiSites)
	mux.HandleFunc("GET /api/v1/sites/{id}", s.apiSite)
	mux.HandleFunc("GET /api/v1/sites/{id}/series", s.apiSeries)
	mux.HandleFunc("POST /sites/{id}/commands", s.askForm)
	mux.HandleFunc("POST /api/v1/sites/{id}/commands", s.apiAsk)
	mux.HandleFunc("GET /api/v1/sites/{id}/commands", s.apiCommands)
	mux.HandleFunc("GET /api/v1/alerts", s.apiAlerts)
	mux.HandleFunc("GET /api/v1/maintenance", s.apiWindows)
	mux.HandleFunc("POST /api/v1/maintenance", s.apiPlan)
	mux.HandleFunc("POST /api/v1/maintenance/{window}/cancel", s.apiCancel)
	mux.HandleFunc("GET /reports", s.reports)
	mux.HandleFunc("POST /reports", s.publishForm)
	mux.HandleFunc("GET /reports/preview", s.preview)
	mux.HandleFunc("GET /reports/preview/{form}", s.previewForm)
	mux.HandleFunc("GET /reports/{id}", s.published)
	mux.HandleFunc("GET /reports/{id}/{revision}", s.published)
	mux.HandleFunc("GET /reports/{id}/{revision}/check", s.check)
	mux.HandleFunc("GET /reports/{id}/{revision}/{form}", s.publishedForm)
	mux.HandleFunc("POST /reports/{id}/shares", s.share)
	mux.HandleFunc("POST /reports/{id}/shares/{share}/revoke", s.revoke)
	mux.HandleFunc("GET /shared/{token}", s.shared)
	mux.HandleFunc("GET /shared/{token}/{form}", s.shared)
	mux.HandleFunc("GET /shared/", s.nothingShared)
	mux.HandleFunc("GET /api/v1/reports", s.apiReports)
	mux.HandleFunc("POST /api/v1/reports", s.apiPublish)
	mux.HandleFunc("GET /api/v1/reports/preview", s.apiPreview)
	mux.HandleFunc("GET /api/v1/reports/{id}", s.apiReport)
	mux.HandleFunc("GET /api/v1/reports/{id}/{revision}", s.apiRevision)
	mux.HandleFunc("GET /api/v1/reports/{id}/{revision}/check", s.apiCheck)
	mux.HandleFunc("/api/", s.apiUnknown)
	if s.Help != nil {
		mux.Handle("GET /help", s.Help)
		mux.Handle("GET /help/", s.Help)
	}
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	if s.Metrics != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{}))
	}
	mux.HandleFunc("/", s.unknown)
	return mux
}

// policy lets a page load from this server only, and run nothing that is written into a page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// permissions takes from a page what it does not need.
const permissions = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()"

// sameOrigin refuses what changes something at the wish of another site's page. Programs that are no browser pass.
func (s *server) sameOrigin(next http.Handler) http.Handler {
	c := http.NewCrossOriginProtection()
	c.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Log.Debug("a page of another site wanted something changed and was refused", "path", loggable(r), "origin", r.Header.Get("Origin"), "from", client(r))
		s.refused(w, http.StatusForbidden, "This came from a page of another site", "Nothing has been done. Open the board itself and do it there.")
	}))
	return c.Handler(next)
}

func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", permissions)
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// troubles lists what is wrong with the collector itself, in words.
func (s *server) troubles() faults {
	var bad faults
	for _, c := range s.Ready() {
		if c.Err != nil {
			bad = append(bad, c)
		}
	}
	if s.Registry != nil {
		if err := s.Registry.Fault(); err != nil {
			bad = append(bad, Check{Name: "sites and agents files", Err: err, Next: "nabz-collector site list", file: true})
		}
	}
	if s.People != nil {
		if err := s.People.Fault(); err != nil {
			bad = append(bad, Check{Name: "users file", Err: err, Next: "nabz-collector user list", file: true})
		}
	}
	return bad
}

func (s *server) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprintln(w, "ok")
}

// readyz names each check on its own line; 503 when one is not well.
func (s *server) readyz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	status, text := http.StatusOK, ""
	for _, c := range s.Ready() {
		if c.Err != nil {
			status = http.StatusServiceUnavailable
			text += fmt.Sprintf("fault %s: %v\n", c.Name, c.Err)
		} else {
			text += fmt.Sprintf("ok %s\n", c.Name)
		}
	}
	if text == "" {
		text = "ok\n"
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}
