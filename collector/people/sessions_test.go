package people

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// room holds sessions of aisha and the wall, under simulated time.
type room struct {
	*Sessions
	people *People
	dir    string
}

func newRoom(t *testing.T) *room {
	t.Helper()
	p, file := town(t)
	p.with(t, "aisha", Operator).with(t, "wall", Viewer)
	r := &room{people: p, dir: filepath.Dir(file)}
	r.Sessions = r.open(t, p)
	return r
}

func (r *room) open(t *testing.T, p *People) *Sessions {
	return OpenSessions(filepath.Join(r.dir, "sessions.jsonl"), p, SessionLimits{Idle: 12 * time.Hour, Life: 7 * 24 * time.Hour}, time.Now, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

func (r *room) begin(name string) string {
	u, _ := r.people.User(name)
	return r.Begin(u)
}

func (r *room) want(t *testing.T, when, token, name string) {
	t.Helper()
	if u, ok := r.User(token, true); u.Name != name || ok != (name != "") {
		t.Errorf("%s: the session is of %q, want %q", when, u.Name, name)
	}
}

func TestASessionEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		idle, used := r.begin("aisha"), r.begin("wall")
		for range 7*24/8 - 1 {
			time.Sleep(8 * time.Hour)
			r.want(t, "in use", used, "wall")
			if _, ok := r.User(idle, false); ok != (time.Since(noonOf(r, used)) < 12*time.Hour) {
				t.Error("a look that is no use keeps a session")
			}
		}
		time.Sleep(8*time.Hour - 1)
		r.want(t, "at the end of its life", used, "wall")
		time.Sleep(1)
		r.want(t, "after its life", used, "")
		r.want(t, "idle", idle, "")
		if n := len(r.all); n != 0 {
			t.Errorf("%d sessions are remembered", n)
		}
	})
}

// noonOf is when a session began.
func noonOf(r *room, token string) time.Time {
	for _, one := range r.all {
		if one.user == "wall" {
			return one.made
		}
	}
	return time.Time{}
}

func TestAChangedPasswordOrARemovedUserEndsSessionsWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		hers, wall := r.begin("aisha"), r.begin("wall")
		outside, err := Open(filepath.Join(r.dir, "users.toml")) // the command, in another process
		if err != nil {
			t.Fatal(err)
		}
		outside.cost = light
		r.want(t, "before", hers, "aisha")
		if err := outside.SetPassword("aisha", another); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r.want(t, "after another password", hers, "")
		r.want(t, "of somebody else", wall, "wall")
		if err := outside.Remove("wall"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r.want(t, "of a user who is gone", wall, "")
		if err := outside.Add("wall", Viewer, another); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r.want(t, "of a user who is back with another password", wall, "")
	})
}

func TestSessionsSurviveARestartAndSignOutsDoToo(t *testing.T) {
	r := newRoom(t)
	wall, out := r.begin("wall"), r.begin("aisha")
	r.End(out)
	r.End("nobody's")
	data, err := os.ReadFile(filepath.Join(r.dir, "sessions.jsonl"))
	if err != nil || strings.Contains(string(data), wall) {
		t.Errorf("the file holds a token, or cannot be read (%v):\n%s", err, data)
	}
	if info, _ := os.Stat(filepath.Join(r.dir, "sessions.jsonl")); info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, want 0600", info.Mode().Perm())
	}
	r.Sessions = r.open(t, r.people) // after kill -9: nothing was said goodbye to
	r.want(t, "after a restart", wall, "wall")
	r.want(t, "signed out before it", out, "")
}

func TestTheLastUseOfASessionIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		token := r.begin("wall")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(11 * time.Hour)
		r.want(t, "in use", token, "wall")
		time.Sleep(2 * tidyEvery)
		again := r.open(t, r.people) // a power cut
		time.Sleep(11 * time.Hour)
		if _, ok := again.User(token, true); !ok {
			t.Error("the use was forgotten in the restart")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAFileThatIsBrokenIsBegunAnew(t *testing.T) {
	for name, text := range map[string]string{"torn": `{"token_sha256":"00`, "of another program": `{"pid":1}`, "short": `{"token_sha256":"00","user":"wall","stamp":"00","made":"2026-11-27T00:00:00Z","used":"2026-11-27T00:00:00Z"}`} {
		r := newRoom(t)
		if err := os.WriteFile(filepath.Join(r.dir, "sessions.jsonl"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r.Sessions = r.open(t, r.people)
		r.want(t, name, r.begin("wall"), "wall")
		r.Sessions = r.open(t, r.people)
		if len(r.all) != 1 {
			t.Errorf("%s: %d sessions are there, want the new one", name, len(r.all))
		}
	}
}

func TestADiskAtFaultSignsNobodyOut(t *testing.T) {
	r := newRoom(t)
	r.file = filepath.Join(r.dir, "users.toml", "sessions.jsonl") // a file where a folder should be
	token := r.begin("wall")
	r.want(t, "in RAM", token, "wall")
	r.file = filepath.Join(r.dir, "sessions.jsonl")
	r.save()
	r.Sessions = r.open(t, r.people)
	r.want(t, "written when the disk was well again", token, "wall")
}

func TestSessionsAreBoundedAndTheOldestGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t)
		hers := r.begin("aisha")
		first := r.begin("wall")
		for range maxEach {
			time.Sleep(time.Second)
			r.begin("wall")
		}
		r.want(t, "the oldest of many", first, "")
		r.want(t, "of somebody else", hers, "aisha")
		if n := len(r.all); n != maxEach+1 {
			t.Errorf("%d sessions, want %d", n, maxEach+1)
		}
		u, _ := r.people.User("wall")
		for i := range maxSessions { // users that do not exist any more
			time.Sleep(time.Second)
			r.makeRoom(fmt.Sprint("user-", i))
			r.all[[32]byte{1, byte(i), byte(i >> 8)}] = &session{user: fmt.Sprint("user-", i), stamp: u.stamp(), made: time.Now(), used: time.Now()}
		}
		if n := len(r.all); n != maxSessions {
			t.Errorf("%d sessions, want %d", n, maxSessions)
		}
	})
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := map[[32]byte]*session{}
		for range rapid.IntRange(0, 20).Draw(t, "sessions") {
			b := func(label string) (out [32]byte) {
				copy(out[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, label))
				return out
			}
			at := time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "made"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
			all[b("token")] = &session{rapid.StringMatching(`[a-z0-9][a-z0-9._-]{0,62}`).Draw(t, "user"), b("stamp"), at, at.Add(time.Hour)}
		}
		text := formatSessions(all)
		got, err := parseSessions(text)
		if err != nil {
			t.Fatal(err)
		}
		if again := formatSessions(got); string(again) != string(text) || len(got) != len(all) {
			t.Errorf("got  %s\nwant %s", again, text)
		}
	})
}

// FuzzSessions lets the disk bring back anything.
func FuzzSessions(f *testing.F) {
	f.Add([]byte(`{"token_sha256":"` + strings.Repeat("0a", 32) + `","user":"wall","stamp":"` + strings.Repeat("0b", 32) + `","made":"2026-11-27T00:00:00Z","used":"2026-11-27T00:00:00Z"}` + "\n"))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := parseSessions(text)
		if err != nil {
			return
		}
		again, err := parseSessions(formatSessions(all))
		if err != nil || len(again) != len(all) {
			t.Errorf("%d sessions came back as %d: %v", len(all), len(again), err)
		}
	})
}
