package fleet

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

var (
	school = telemetry.Address{Site: "mbarara", Agent: "school"}
	noon   = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
)

// token makes one for an agent and invites it for a day.
func token(t *testing.T, r *Registry, a telemetry.Address, anew bool) telemetry.Enrolment {
	t.Helper()
	e, err := telemetry.NewEnrolment(a, "https://noc.example.org:8443", [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Invite([]telemetry.Enrolment{e}, noon.Add(24*time.Hour), anew); err != nil {
		t.Fatal(err)
	}
	return e
}

func sum(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }

func TestAnAgentEnrolsOnceWithItsToken(t *testing.T) {
	r, dir := open(t)
	e := token(t, r, clinic, false)
	other := token(t, r, school, false)
	if r.Authenticate(clinic, "") || r.Authenticate(clinic, string(e.Word[:])) {
		t.Error("an agent signs in before it has enrolled")
	}
	steps := []struct {
		what   string
		a      telemetry.Address
		word   [16]byte
		secret string
		at     time.Time
		want   error
	}{
		{"another agent's word", clinic, other.Word, "one", noon, ErrNoToken},
		{"no word", clinic, [16]byte{}, "one", noon, ErrNoToken},
		{"an agent that nobody made known", telemetry.Address{Site: "mbarara", Agent: "nobody"}, e.Word, "one", noon, ErrNoToken},
		{"too late", clinic, e.Word, "one", noon.Add(24*time.Hour + time.Second), ErrTokenExpired},
		{"at last", clinic, e.Word, "one", noon.Add(24 * time.Hour), nil},
		{"the answer was lost", clinic, e.Word, "one", noon.Add(time.Hour), nil},
		{"somebody who read the token", clinic, e.Word, "two", noon.Add(time.Hour), ErrTokenUsed},
	}
	for _, s := range steps {
		if err := r.Enrol(s.a, s.word, sum(s.secret), "", s.at); !errors.Is(err, s.want) || s.want == nil && err != nil {
			t.Errorf("%s: got %v, want %v", s.what, err, s.want)
		}
	}
	if !r.Authenticate(clinic, "one") || r.Authenticate(clinic, "two") {
		t.Error("not the secret that enrolled signs in")
	}
	data, err := os.ReadFile(filepath.Join(dir, "agents.toml"))
	if err != nil || strings.Contains(string(data), fmt.Sprintf("%x", e.Word)) {
		t.Errorf("the file holds the word itself, or cannot be read (%v):\n%s", err, data)
	}
	again, err := OpenRegistry(filepath.Join(dir, "sites.toml"), filepath.Join(dir, "agents.toml"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Agent{{Address: clinic, Enrolled: true}, {Address: school, Until: noon.Add(24 * time.Hour)}}
	if got := again.Credentials(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("read again:\n got %v\nwant %v", got, want)
	}
}

func TestATokenIsGoodInTheMomentAfterAnotherProcessHasMadeIt(t *testing.T) {
	r, dir := open(t)
	r.now = func() time.Time { return noon }
	r.looked = noon // it has just looked at its files
	other, err := OpenRegistry(filepath.Join(dir, "sites.toml"), filepath.Join(dir, "agents.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Enrol(clinic, token(t, other, clinic, false).Word, sum("one"), "", noon); err != nil {
		t.Errorf("got %v", err)
	}
	r.looked = noon
	if err := other.AddSite(Site{ID: "mbarara"}); err != nil {
		t.Fatal(err)
	}
	if _, ok := r.Site("mbarara"); !ok {
		t.Error("its site is not known")
	}
}

func TestANewTokenVoidsTheOldOne(t *testing.T) {
	r, _ := open(t)
	old, e := token(t, r, clinic, false), token(t, r, clinic, false)
	if err := r.Enrol(clinic, old.Word, sum("one"), "", noon); !errors.Is(err, ErrNoToken) {
		t.Errorf("the old one: got %v", err)
	}
	if err := r.Enrol(clinic, e.Word, sum("one"), "", noon); err != nil {
		t.Errorf("the new one: got %v", err)
	}
}

func TestARotatedAgentKeepsItsSecretUntilItEnrolsAnew(t *testing.T) {
	r, _ := open(t)
	if err := r.Enrol(clinic, token(t, r, clinic, false).Word, sum("one"), "", noon); err != nil {
		t.Fatal(err)
	}
	e := token(t, r, clinic, true)
	if !r.Authenticate(clinic, "one") {
		t.Error("the old secret does not work any more")
	}
	before := r.AgentsRevision()
	if err := r.Enrol(clinic, e.Word, sum("two"), "", noon); err != nil {
		t.Fatal(err)
	}
	if r.Authenticate(clinic, "one") || !r.Authenticate(clinic, "two") {
		t.Error("after it has enrolled anew the old secret works, or the new one does not")
	}
	if r.AgentsRevision() == before {
		t.Error("nobody can see that credentials have changed")
	}
}

func TestARevokedAgentIsOutUntilItIsInvitedAnew(t *testing.T) {
	r, _ := open(t)
	waiting := token(t, r, school, false)
	if err := r.Enrol(clinic, token(t, r, clinic, false).Word, sum("one"), "", noon); err != nil {
		t.Fatal(err)
	}
	for _, a := range []telemetry.Address{clinic, school} {
		if err := r.Revoke(a, noon); err != nil {
			t.Fatal(err)
		}
	}
	if r.Authenticate(clinic, "one") || len(r.Agents()) != 0 {
		t.Errorf("it can sign in, or is listed among %v", r.Agents())
	}
	if err := r.Enrol(school, waiting.Word, sum("x"), "", noon); !errors.Is(err, ErrNoToken) {
		t.Errorf("a token made before: got %v", err)
	}
	for want, err := range map[string]error{
		"agent mbarara/clinic was revoked at 2026-11-27 12:00:00 UTC already":                       r.Revoke(clinic, noon),
		"agent mbarara/nobody is not there; nabz-collector agent list prints those that are":        r.Revoke(telemetry.Address{Site: "mbarara", Agent: "nobody"}, noon),
		"agent mbarara/nobody is not there; nabz-collector agent add mbarara/nobody makes it known": r.Invite([]telemetry.Enrolment{{Address: telemetry.Address{Site: "mbarara", Agent: "nobody"}}}, noon, true),
	} {
		if fmt.Sprint(err) != want {
			t.Errorf("\n got %v\nwant %s", err, want)
		}
	}
	e := token(t, r, clinic, false)
	if r.Authenticate(clinic, "one") {
		t.Error("its old secret works again")
	}
	if err := r.Enrol(clinic, e.Word, sum("two"), "", noon); err != nil || !r.Authenticate(clinic, "two") {
		t.Errorf("it cannot come back: %v", err)
	}
}

func TestAllAreInvitedOrNone(t *testing.T) {
	r, dir := open(t)
	if _, err := r.AddAgent(clinic); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "agents.toml"))
	if err != nil {
		t.Fatal(err)
	}
	err = r.Invite([]telemetry.Enrolment{{Address: school, Word: [16]byte{1}}, {Address: clinic, Word: [16]byte{2}}}, noon, false)
	const want = "agent mbarara/clinic is already there, and enrolled; nabz-collector agent rotate mbarara/clinic lets it enrol anew"
	if !errors.Is(err, ErrExists) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, "agents.toml")); string(after) != string(before) {
		t.Errorf("the file has changed:\n%s", after)
	}
}

// A programme of five thousand sites gets its secrets in a second: the file is written once, or not at all.
func TestManyAgentsAreAddedAtOnceOrNone(t *testing.T) {
	dir := t.TempDir()
	r, err := OpenRegistry(filepath.Join(dir, "sites.toml"), filepath.Join(dir, "agents.toml"))
	if err != nil {
		t.Fatal(err)
	}
	var all []telemetry.Address
	for i := range 200 {
		all = append(all, telemetry.Address{Site: fmt.Sprintf("site-%d", i), Agent: "main"})
	}
	secrets, err := r.AddAgents(all)
	if err != nil || len(secrets) != len(all) {
		t.Fatalf("%d secrets, %v", len(secrets), err)
	}
	for i, a := range all {
		if !r.Authenticate(a, secrets[i]) {
			t.Errorf("%s cannot sign in with its secret", a)
		}
	}
	before, err := os.ReadFile(filepath.Join(dir, "agents.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.AddAgents([]telemetry.Address{{Site: "fresh", Agent: "main"}, all[0], all[1]}); !errors.Is(err, ErrExists) || strings.Count(err.Error(), "has a secret") != 2 {
		t.Errorf("got %v, want both faults", err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "agents.toml")); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the file has changed (%v)", err)
	}
}
