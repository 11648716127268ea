package ndt7

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/smartvillage/nabz/collector/limit"
	"github.com/smartvillage/nabz/telemetry"
)

// triesAllowed is how often tokens may be asked for, right secret or wrong: by one host in one agent's name five at once and then one in ten
// seconds, by one host in whatever names 50 at once and then ten a second, because all villages of an operator may come from one
// address, and 200 at once and then 50 a second by all. A secret has 256 bits, so this protects the processor more than the secret.
var triesAllowed = limit.Rates{Pair: limit.Rate{Burst: 5, Every: 10 * time.Second}, Host: limit.Rate{Burst: 50, Every: 100 * time.Millisecond},
	All: limit.Rate{Burst: 200, Every: 20 * time.Millisecond}, Most: 8192}

// tokenLife is how long a token is good: time for a download and an upload one after the other, and little more.
const tokenLife = 2 * time.Minute

// retryAfter is how long an agent that found no place should wait before it asks again, in seconds: as long as a test in both directions.
const retryAfter = "30"

// direction is what of a token a test uses up.
type direction uint8

const (
	download direction = 1 << iota
	upload
)

// String is the word that the protocol has for it.
func (d direction) String() string {
	if d == upload {
		return "upload"
	}
	return "download"
}

// Outcomes of looking at a token.
const (
	tokenGood    = "good"
	tokenForged  = "forged"
	tokenExpired = "expired"
	tokenUsed    = "used"
)

const (
	nonceBytes = 12
	headBytes  = 8 + nonceBytes // expiry in Unix milliseconds, nonce; then the address as text, then the signature
)

// tokens signs them, and knows which were used. A token is base64url of expiry, nonce, address and HMAC-SHA256 over those.
type tokens struct {
	key  [32]byte
	mu   sync.Mutex
	used map[[nonceBytes]byte]use
}

type use struct {
	expiry int64
	spent  direction
}

func (t *tokens) sign(b []byte) []byte {
	h := hmac.New(sha256.New, t.key[:])
	h.Write(b)
	return h.Sum(nil)
}

// issue makes a token for an agent.
func (t *tokens) issue(a telemetry.Address, now time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(now.Add(tokenLife).UnixMilli()))
	var nonce [nonceBytes]byte
	_, _ = rand.Read(nonce[:]) // never fails, by its documentation
	b = append(append(b, nonce[:]...), a.String()...)
	return base64.RawURLEncoding.EncodeToString(append(b, t.sign(b)...))
}

// look reads a token without using it up.
func (t *tokens) look(text string, now time.Time) (a telemetry.Address, nonce [nonceBytes]byte, expiry int64, outcome string) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < headBytes+sha256.Size {
		return a, nonce, 0, tokenForged
	}
	body, mac := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if !hmac.Equal(mac, t.sign(body)) {
		return a, nonce, 0, tokenForged
	}
	if a, err = telemetry.ParseAddress(string(body[headBytes:])); err != nil {
		return a, nonce, 0, tokenForged
	}
	copy(nonce[:], body[8:])
	expiry = int64(binary.BigEndian.Uint64(body))
	if now.UnixMilli() >= expiry {
		return a, nonce, expiry, tokenExpired
	}
	return a, nonce, expiry, tokenGood
}

// spend uses a token up for one direction.
func (t *tokens) spend(nonce [nonceBytes]byte, expiry int64, d direction, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for n, u := range t.used { // few: as many as tests were begun in two minutes
		if now.UnixMilli() >= u.expiry {
			delete(t.used, n)
		}
	}
	u := t.used[nonce]
	if u.spent&d != 0 {
		return false
	}
	if t.used == nil {
		t.used = map[[nonceBytes]byte]use{}
	}
	t.used[nonce] = use{expiry, u.spent | d}
	return true
}

// token answers an agent that signs in by HTTP basic authentication as site/agent with its secret.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	user, secret, ok := r.BasicAuth()
	a, err := telemetry.ParseAddress(user)
	if !ok || err != nil {
		s.m.tokens.WithLabelValues("anonymous").Inc()
		w.Header().Set("WWW-Authenticate", `Basic realm="nabz speed test"`)
		say(w, http.StatusUnauthorized, "sign in as site/agent with the agent's secret")
		return
	}
	if wait := s.tries.Take(host(r), a.String(), time.Now()); wait > 0 {
		s.m.tokens.WithLabelValues("too_many").Inc()
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
		say(w, http.StatusTooManyRequests, "too many tokens were asked for; wait, then ask again")
		return
	}
	if !s.p.Auth.Authenticate(a, secret) {
		s.m.tokens.WithLabelValues("secret").Inc()
		w.Header().Set("WWW-Authenticate", `Basic realm="nabz speed test"`)
		say(w, http.StatusUnauthorized, "no agent of this name has this secret; enrol it at the collector, or correct its secret file")
		return
	}
	if s.atWork() >= s.c.AtOnce {
		s.m.tokens.WithLabelValues("full").Inc()
		refuse(w, whyFull, s.c.AtOnce)
		return
	}
	s.m.tokens.WithLabelValues("issued").Inc()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(struct { // who is gone needs no answer
		Token   string `json:"access_token"`
		Expires int    `json:"expires_in"`
	}{s.tokens.issue(a, s.p.Now()), int(tokenLife.Seconds())})
}

// refuse tells why a test cannot begin now.
func refuse(w http.ResponseWriter, why string, atOnce int) {
	w.Header().Set("Retry-After", retryAfter)
	switch why {
	case whyFull:
		say(w, http.StatusServiceUnavailable, "all "+strconv.Itoa(atOnce)+" places for speed tests are taken; ask again later")
	case whyTwice:
		say(w, http.StatusServiceUnavailable, "a speed test of this agent is under way; ask again when it has ended")
	default:
		say(w, http.StatusServiceUnavailable, "the collector is about to end; ask again later")
	}
}

// host is who asks, without the port.
func host(r *http.Request) string {
	h, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return h
}
