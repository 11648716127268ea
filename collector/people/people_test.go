package people

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/limit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// light is a cost for tests that are about something else.
var light = cost{kib: 8, passes: 1, lanes: 1}

const (
	secret  = "umbrella glacier ladder apricot"
	another = "magenta cactus teapot river"
)

// town is an empty one whose passwords cost little.
func town(t *testing.T) (*People, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "users.toml")
	p, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	p.cost, p.ghost.cost = light, light
	return p, file
}

func (p *People) with(t *testing.T, name string, r Role) *People {
	t.Helper()
	if err := p.Add(name, r, secret); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOnlyTheRightPasswordSignsIn(t *testing.T) {
	p, file := town(t)
	p.with(t, "aisha", Operator).with(t, "wall", Viewer)
	tests := []struct {
		name, user, password string
		want                 error
		role                 Role
	}{
		{"right", "aisha", secret, nil, Operator},
		{"another's name", "wall", secret, nil, Viewer},
		{"wrong", "aisha", another, ErrWrong, ""},
		{"empty", "aisha", "", ErrWrong, ""},
		{"one letter more", "wall", secret + "s", ErrWrong, ""},
		{"nobody", "omar", secret, ErrWrong, ""},
		{"nobody, nothing", "", "", ErrWrong, ""},
		{"the hash itself", "aisha", p.table.Value().byName["aisha"].hash.String(), ErrWrong, ""},
		{"endless", strings.Repeat("a", 1e6), strings.Repeat("a", 1e6), ErrWrong, ""},
	}
	for i, tt := range tests {
		u, err := p.SignIn(t.Context(), fmt.Sprint("host-", i), tt.user, tt.password)
		if !errors.Is(err, tt.want) || u.Role != tt.role || err != nil && u.Name != "" {
			t.Errorf("%s: got %v %v, want role %q and %v", tt.name, u, err, tt.role, tt.want)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(data), "umbrella") {
		t.Errorf("the file holds a password, or cannot be read (%v):\n%s", err, data)
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, want 0600", info.Mode().Perm())
	}
	other, err := Open(file) // another process
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%d %s %s", len(other.Users()), other.Users()[0].Name, other.Users()[1].Name); got != "2 aisha wall" {
		t.Errorf("another process sees %s", got)
	}
	if !other.Users()[0].Role.Allows(Operator) || other.Users()[1].Role.Allows(Operator) || !other.Users()[1].Role.Allows(Viewer) || Role("").Allows(Viewer) || Operator.Allows("") {
		t.Error("roles do not allow what they should")
	}
}

// A hash is made for a name that does not exist, too. That is seen by the work it has to wait for, not by the clock.
func TestANameThatDoesNotExistDoesTheWorkOfOneThatDoes(t *testing.T) {
	p, _ := town(t)
	p.with(t, "aisha", Viewer)
	for range cap(p.work) {
		p.work <- struct{}{} // all places are taken
	}
	for _, name := range []string{"aisha", "omar"} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := p.SignIn(ctx, "host", name, another); !errors.Is(err, ErrBusy) {
			t.Errorf("%s: got %v, want to wait for a place like everybody", name, err)
		}
	}
	if p.ghost.cost != p.table.Value().byName["aisha"].hash.cost {
		t.Errorf("a name that does not exist costs %v, one that does %v", p.ghost.cost, p.table.Value().byName["aisha"].hash.cost)
	}
}

func TestTriesAreBounded(t *testing.T) {
	p, _ := town(t)
	p.with(t, "aisha", Viewer)
	r := prometheus.NewRegistry()
	p.CountIn(r)
	for _, name := range []string{"aisha", "omar"} { // who exists is not told by how long one may try
		for i := range triesAllowed.Pair.Burst + 1 {
			_, err := p.SignIn(t.Context(), "host", name, another)
			wait := Wait(0)
			if late := i == triesAllowed.Pair.Burst; errors.As(err, &wait) != late || !late && !errors.Is(err, ErrWrong) {
				t.Errorf("%s, try %d: %v", name, i+1, err)
			}
		}
	}
	if _, err := p.SignIn(t.Context(), "host", "aisha", secret); !errors.As(err, new(Wait)) {
		t.Errorf("the right password, too late: %v, want to wait like all", err)
	}
	if _, err := p.SignIn(t.Context(), "another host", "aisha", secret); err != nil {
		t.Errorf("another host is shut out as well: %v", err)
	}
	counted, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{good: 1, wrong: 10, limited: 3, busy: 0}
	for _, m := range counted[0].Metric {
		if outcome := m.Label[0].GetValue(); m.Counter.GetValue() != want[outcome] {
			t.Errorf("%s: %v are counted, want %v", outcome, m.Counter.GetValue(), want[outcome])
		}
	}
}

func TestAStormOfSignInsIsBoundedInWork(t *testing.T) {
	p, _ := town(t)
	free := limit.Rate{Burst: 1e6, Every: time.Millisecond}
	p.tries = limit.New(limit.Rates{Pair: free, All: free, Most: 1e6}) // this is not about tries
	for range cap(p.work) {
		p.work <- struct{}{}
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for i := range waiting {
		wg.Go(func() {
			if _, err := p.SignIn(ctx, fmt.Sprint(i), "aisha", secret); !errors.Is(err, ErrBusy) {
				t.Errorf("got %v", err)
			}
		})
	}
	full := time.NewTicker(time.Millisecond)
	defer full.Stop()
	for end := time.After(20 * time.Second); len(p.queue) < waiting; {
		select {
		case <-full.C:
		case <-end:
			t.Fatalf("%d wait, want %d", len(p.queue), waiting)
		}
	}
	if _, err := p.SignIn(t.Context(), "one more", "aisha", secret); !errors.Is(err, ErrBusy) {
		t.Errorf("one more is not turned away: %v", err)
	}
	cancel()
	wg.Wait()
	if len(p.queue) != 0 {
		t.Errorf("%d places are lost", len(p.queue))
	}
}

func TestAScriptIsHashedOnceUntilItsUserChanges(t *testing.T) {
	p, file := town(t)
	p.with(t, "grafana", Viewer)
	var wg sync.WaitGroup
	for range 50 { // at once, and more than one host may try
		wg.Go(func() {
			if u, _, err := p.Script(t.Context(), "host", "grafana", secret); err != nil || u.Name != "grafana" {
				t.Errorf("got %v, %v", u, err)
			}
		})
	}
	wg.Wait()
	if _, fresh, err := p.Script(t.Context(), "host", "grafana", secret); fresh || err != nil {
		t.Errorf("hashed again: %v, %v", fresh, err)
	}
	for _, password := range []string{another, ""} {
		if u, fresh, err := p.Script(t.Context(), "host 2", "grafana", password); !errors.Is(err, ErrWrong) || !fresh || u.Name != "" {
			t.Errorf("%q: got %v, %v, %v", password, u, fresh, err)
		}
	}
	if err := p.SetPassword("grafana", another); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Script(t.Context(), "host 3", "grafana", secret); !errors.Is(err, ErrWrong) {
		t.Errorf("the old password: %v", err)
	}
	if _, _, err := p.Script(t.Context(), "host 3", "grafana", another); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	p.table, _ = fleet.OpenTable(file, parseUsers) // looks now, and not within a second
	if _, _, err := p.Script(t.Context(), "host 4", "grafana", another); !errors.Is(err, ErrWrong) {
		t.Errorf("nobody is left, and got %v", err)
	}
}

func TestWhatCannotBeAUserIsRefused(t *testing.T) {
	p, _ := town(t)
	p.with(t, "aisha", Viewer)
	tests := []struct {
		name, user string
		role       Role
		password   string
		want       string
	}{
		{"name", "Aisha", Viewer, secret, `user name "Aisha": use a-z, 0-9, ".", "_" and "-", beginning with a letter or a digit, at most 63 characters`},
		{"role", "omar", "boss", secret, `role "boss" is none of viewer, operator`},
		{"short", "omar", Viewer, "fourteen chars", `the password has 14 characters, 15 are needed; take four words that do not belong together, or --generate`},
		{"long", "omar", Viewer, strings.Repeat("abcdef", 50), `the password has 300 bytes, at most 256 are allowed`},
		{"monotonous", "omar", Viewer, "abababababababab", `the password has only 2 different characters; take four words that do not belong together, or --generate`},
		{"control", "omar", Viewer, "umbrella\tglacier", `the password holds a control character, which no sign-in page would send`},
		{"no text", "omar", Viewer, "umbrella glacier\xff", `the password is not UTF-8 text`},
		{"twice", "aisha", Viewer, secret, `user aisha is already there; a new password: nabz-collector user password aisha`},
	}
	for _, tt := range tests {
		if err := p.Add(tt.user, tt.role, tt.password); fmt.Sprint(err) != tt.want {
			t.Errorf("%s: got  %v\nwant %s", tt.name, err, tt.want)
		}
	}
	for _, err := range []error{p.Remove("omar"), p.SetPassword("omar", secret)} {
		if !errors.Is(err, ErrMissing) {
			t.Errorf("got %v, want ErrMissing", err)
		}
	}
	if err := p.Add("omar", Viewer, "چار لفظ جو ساتھ نہیں"); err != nil { // characters count, not bytes
		t.Errorf("an Urdu password: %v", err)
	}
	if a, b := Generate(), Generate(); a == b || len(a) != 29 || CheckPassword(a) != nil {
		t.Errorf("generated %q and %q", a, b)
	}
}

func TestFaultsNameFileAndLine(t *testing.T) {
	h := newHash(light, secret).String()
	text := fmt.Sprintf("[[user]]\nname = \"a\"\nrole = \"viewer\"\npassword = %q\n[[user]]\nname = \"a\"\nrole = \"viewer\"\npassword = %q\nrank = 1\n[[user]]\nname = \"b\"\nrole = \"operator\"\npassword = %q\n",
		h, h, strings.Replace(h, "m=8,", "m=99999999,", 1))
	_, err := parseUsers("users.toml", []byte(text))
	want := `users.toml:9: unknown key "rank" in [user[1]]; known here: name, password, role
users.toml:6: user[1].name: user "a" is there twice
users.toml:13: user[2].password: asks for m=99999999,t=1,p=1; at most m=65536,t=10,p=4 are allowed`
	if fmt.Sprint(err) != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// The vector in RFC 9106, section 5.3, has a secret and associated data, which passwords have not; this one is of the reference program.
func TestAHashIsThatOfTheReference(t *testing.T) {
	h := cost{kib: 64, passes: 1, lanes: 1}
	got := fmt.Sprintf("%x", h.tagOf("password", "somesalt", 24))
	if want := "655ad15eac652dc59f7170a7332bf49b8469be1fdb9c28bb"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTheUsualCostIsThatOfOWASP(t *testing.T) {
	h := newHash(usual, secret)
	if text := h.String(); !strings.HasPrefix(text, "$argon2id$v=19$m=19456,t=2,p=1$") || !h.is(secret) || h.is(another) {
		t.Errorf("hash is %s", text)
	}
}

// FuzzHash lets anybody write anything into the users file: what is taken in is bounded, and is written back letter for letter.
func FuzzHash(f *testing.F) {
	f.Add(newHash(light, secret).String())
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=4294967295,t=4294967295,p=255$$")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHash(text)
		if err != nil {
			return
		}
		if h.String() != text {
			t.Errorf("%q is read as %q", text, h)
		}
		if h.kib > most.kib || h.passes > most.passes || h.lanes > most.lanes {
			t.Errorf("%q asks for more than is allowed", text)
		}
	})
}

func BenchmarkSignIn(b *testing.B) {
	h := newHash(usual, secret)
	b.ReportAllocs()
	for b.Loop() {
		h.is(secret)
	}
}
