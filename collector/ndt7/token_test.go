package ndt7

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

const (
	down = "/ndt/v7/download"
	up   = "/ndt/v7/upload"
)

func TestOnlyAnEnrolledAgentGetsAToken(t *testing.T) {
	w := open(t, Config{})
	for name, c := range map[string]struct {
		user, secret string
		status       int
		part         string
	}{
		"its own secret":      {"chitral/router", "one", 200, "access_token"},
		"another's secret":    {"chitral/kiosk", "one", 401, "correct its secret file"},
		"an unknown agent":    {"chitral/nobody", "one", 401, "enrol it"},
		"an unknown site":     {"hunza/router", "one", 401, "enrol it"},
		"no credentials":      {"", "", 401, "sign in as site/agent"},
		"a name that is none": {"router", "one", 401, "sign in as site/agent"},
		"no secret":           {"chitral/third", "", 401, "enrol it"},
	} {
		if status, body, _ := w.ask(c.user, c.secret); status != c.status || !strings.Contains(body, c.part) {
			t.Errorf("%s: %d %q, want %d and %q", name, status, body, c.status, c.part)
		}
	}
	w.count("token_requests_total", 1, "issued")
	w.count("token_requests_total", 4, "secret")
	w.count("token_requests_total", 2, "anonymous")
}

func TestATokenCarriesOneTestInEachDirection(t *testing.T) {
	w := open(t, Config{Time: 50 * time.Millisecond})
	token := w.token("router", "one")
	for _, path := range []string{up, down} {
		if err := drain(w.begin(path, token)); !closed(err) {
			t.Error(err)
		}
		w.refused(path, token, 401, "has been used")
	}
	w.count("refused_total", 2, tokenUsed)
}

func TestATokenEndsAfterTwoMinutes(t *testing.T) {
	w := open(t, Config{Time: 50 * time.Millisecond})
	token := w.token("router", "one")
	w.clock.pass(2*time.Minute - time.Millisecond)
	_ = drain(w.begin(down, token))
	w.clock.pass(time.Millisecond)
	w.refused(up, token, 401, "expired")
	w.count("refused_total", 1, tokenExpired)
	if w.tokens.spend([nonceBytes]byte{1}, 0, download, w.clock.now()); len(w.tokens.used) != 1 {
		t.Errorf("%d tokens are remembered, the expired one among them", len(w.tokens.used))
	}
}

func TestATokenCannotBeForged(t *testing.T) {
	w, other := open(t, Config{}), open(t, Config{})
	token := w.token("router", "one")
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		bad := append([]byte{}, raw...)
		bad[i] ^= 1
		if _, _, _, outcome := w.tokens.look(base64.RawURLEncoding.EncodeToString(bad), w.clock.now()); outcome != tokenForged {
			t.Errorf("byte %d flipped: %s", i, outcome)
		}
	}
	foreign := strings.Replace(string(raw), "chitral/router", "chitral/kiosk_", 1)
	for name, bad := range map[string]string{
		"none": "", "no base64": "&&&", "short": "AAAA", "cut": token[:len(token)-4], "longer": token + "AAAA",
		"another agent's name": base64.RawURLEncoding.EncodeToString([]byte(foreign)), "of another process": other.token("router", "one"),
	} {
		if _, _, _, outcome := w.tokens.look(bad, w.clock.now()); outcome != tokenForged {
			t.Errorf("%s: %s", name, outcome)
		}
	}
	w.refused(down, "AAAA", 401, "forged")
	w.refused(up, "", 401, "get a new one")
	w.count("refused_total", 2, tokenForged)
}

func TestTriesForTokensAreBounded(t *testing.T) {
	w := open(t, Config{})
	for range triesAllowed.Pair.Burst {
		if status, body, _ := w.ask("chitral/router", "wrong"); status != 401 {
			t.Fatalf("%d %s", status, body)
		}
	}
	status, body, head := w.ask("chitral/router", "one")
	if status != 429 || head.Get("Retry-After") == "" || !strings.Contains(body, "wait") {
		t.Errorf("try %d: %d %q %v", triesAllowed.Pair.Burst+1, status, body, head)
	}
	if status, _, _ := w.ask("chitral/kiosk", "two"); status != 200 {
		t.Errorf("another agent is shut out as well: %d", status)
	}
}

// FuzzToken lets anybody send anything: what this process has not signed is forged.
func FuzzToken(f *testing.F) {
	var mine, other tokens
	mine.key[0] = 1
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	f.Add(other.issue(address("router"), now))
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		if _, _, _, outcome := mine.look(text, now); outcome != tokenForged {
			t.Fatalf("%q is %s", text, outcome)
		}
	})
}
