package enrol

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/limit"
	"github.com/smartvillage/nabz/telemetry"
)

// maxRequest bounds a request, in bytes; a whole one has about 400.
const maxRequest = 2048

// rates are how often words may be tried. A word has 128 bits, so this protects the processor and the disk more than the word. All
// villages of an operator may come from one address.
var rates = limit.Rates{Pair: limit.Rate{Burst: 5, Every: 10 * time.Second}, Host: limit.Rate{Burst: 50, Every: 100 * time.Millisecond},
	All: limit.Rate{Burst: 200, Every: 20 * time.Millisecond}, Most: 8192}

// Config is what enrolled agents are told.
type Config struct {
	Brokers     []string // such as mqtts://noc.example.org:8883
	Profile     string   // "standard" or "metered"; "": the agent's default
	SpeedServer string   // where they measure their throughput; "": nowhere
	CA          string   // certificate (PEM) of the authority behind the brokers; "": one that the routers' systems trust
	Template    string   // file with keys of agent.toml for all agents; "": none. Read at each enrolment
}

// Registry is what is needed of fleet's.
type Registry interface {
	Enrol(a telemetry.Address, word [16]byte, secret [sha256.Size]byte, mosquitto string, now time.Time) error
	Site(id string) (fleet.Site, bool)
}

// Parts are what the server works with. All are needed.
type Parts struct {
	Registry Registry
	Metrics  prometheus.Registerer
	Now      func() time.Time
	Log      *slog.Logger
}

// Server answers telemetry.EnrolPath. Safe for concurrent use.
type Server struct {
	c        Config
	p        Parts
	tries    *limit.Limiter
	outcomes *prometheus.CounterVec
}

// New makes the handler. The error is a template that cannot be.
func New(c Config, p Parts) (*Server, error) {
	if _, err := readTemplate(c.Template); err != nil {
		return nil, err
	}
	s := &Server{c: c, p: p, tries: limit.New(rates), outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nabz_enrolments_total", Help: "Requests to enrol, by outcome: enrolled, unknown, expired, used, revoked, malformed, too_many, fault."}, []string{"outcome"})}
	p.Metrics.MustRegister(s.outcomes)
	return s, nil
}

// ServeHTTP answers a request to enrol.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		say(w, http.StatusMethodNotAllowed, "routers enrol here: nabz-agent enroll TOKEN")
		return
	}
	var q telemetry.EnrolRequest
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&q)
	var a telemetry.Address
	var word [16]byte
	var secret [sha256.Size]byte
	if err == nil {
		a, word, secret, err = q.Parse()
	}
	if err != nil {
		s.outcomes.WithLabelValues("malformed").Inc()
		say(w, http.StatusBadRequest, "this is no request to enrol: "+err.Error())
		return
	}
	host := hostOf(r)
	if wait := s.tries.Take(host, a.String(), s.p.Now()); wait > 0 {
		s.outcomes.WithLabelValues("too_many").Inc()
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
		say(w, http.StatusTooManyRequests, "too many tries; wait, then try again")
		return
	}
	site, known := s.p.Registry.Site(a.Site)
	if !known {
		s.refuse(w, r, a, fleet.ErrNoToken)
		return
	}
	text, err := s.configOf(a, site) // before the token is used up
	if err == nil {
		err = s.p.Registry.Enrol(a, word, secret, q.Mosquitto, s.p.Now())
	}
	if err != nil {
		s.refuse(w, r, a, err)
		return
	}
	s.outcomes.WithLabelValues("enrolled").Inc()
	s.p.Log.Info("agent has enrolled", "agent", a.String(), "remote", host)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(telemetry.EnrolAnswer{Config: text, CA: s.c.CA}) // who did not get it asks again
}

// refuse tells who came with a token what became of it. That a token is not known is all that a stranger learns.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, a telemetry.Address, err error) {
	status, outcome, text := http.StatusInternalServerError, "fault", "the collector cannot enrol anybody now; its log says why"
	next := fmt.Sprintf("; have the NOC make a new one: nabz-collector agent add %s, or agent rotate %s for one that was enrolled before", a, a)
	switch {
	case errors.Is(err, fleet.ErrNoToken):
		status, outcome, text = http.StatusUnauthorized, "unknown", "this token is not known here: a newer one was made, or its site was taken out"+next
	case errors.Is(err, fleet.ErrTokenExpired):
		status, outcome, text = http.StatusGone, "expired", "this token has expired"+next
	case errors.Is(err, fleet.ErrTokenUsed):
		status, outcome, text = http.StatusConflict, "used", "this token was used already"+next
	case errors.Is(err, fleet.ErrRevoked):
		status, outcome, text = http.StatusForbidden, "revoked", "this agent was revoked"+next
	}
	s.outcomes.WithLabelValues(outcome).Inc()
	level := slog.LevelWarn
	if outcome == "fault" {
		level = slog.LevelError
	}
	s.p.Log.Log(r.Context(), level, "enrolment is refused", "agent", a.String(), "remote", hostOf(r), "error", err)
	say(w, status, text)
}

// say answers with a text for people.
func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // who is gone needs no answer
}

func hostOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
