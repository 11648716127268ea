package walk

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smartvillage/nabz/internal/testneed"
	"github.com/smartvillage/nabz/telemetry"
)

// Each row is one thing that is wrong with a token, or with what is there already, as people have it; a router and a NOC are set up for it, and no file changes.
func TestEachTokenThatIsNoGoodIsToldAsThat(t *testing.T) {
	c, _ := foundCentre(t)
	c.start()
	c.ready()
	changed := func(token string, change func(*telemetry.Enrolment)) string {
		e, err := telemetry.ParseEnrolment(token)
		if err != nil {
			t.Fatal(err)
		}
		change(&e)
		return e.String()
	}
	const anew = "have the NOC make a new one: nabz-collector agent add SITE/main, or agent rotate SITE/main for one that was enrolled before"
	rows := []struct {
		what  string
		spoil func(site, token string, r *router) string // gives the token that is used
		want  string
		good  string // token that the same router enrols with afterwards; "": the one that the NOC makes then
	}{
		{"cut short", func(_, token string, _ *router) string { return token[:len(token)-9] }, `the enrolment token is cut short or mistyped; copy the whole of it, from "nabz1-" to its end`, ""},
		{"mistyped", func(_, token string, _ *router) string {
			return token[:40] + strings.Map(func(c rune) rune { return c ^ 1 }, token[40:41]) + token[41:]
		}, "the enrolment token is cut short or mistyped", ""},
		{"something else", func(string, string, *router) string { return "hunter2" }, `this is no enrolment token: one begins with "nabz1-"`, ""},
		{"of another programme", func(_, token string, _ *router) string {
			return changed(token, func(e *telemetry.Enrolment) { e.CA[0]++ })
		}, "its certificate does not come from the authority that the token names", ""},
		{"for another name", func(_, token string, _ *router) string {
			return changed(token, func(e *telemetry.Enrolment) { e.URL = strings.Replace(e.URL, "127.0.0.1", "localhost", 1) })
		}, "has a certificate for another name", ""},
		{"older than another", func(site, token string, _ *router) string { c.office("agent", "add", site+"/main"); return token }, "the collector refuses: this token is not known here: a newer one was made, or its site was taken out; " + anew + " (status 401)", ""},
		{"used by another router", func(_, token string, _ *router) string {
			if text, status := newRouter(t).enroll(token); status != 0 {
				t.Fatal(text)
			}
			return token
		}, "the collector refuses: this token was used already; " + anew + " (status 409)", "rotate"},
		{"of an agent that was revoked", func(site, token string, _ *router) string { c.office("agent", "revoke", site+"/main"); return token }, "this token is not known here", ""},
		{"expired", func(site, token string, _ *router) string { c.expire(site + "/main"); return token }, "the collector refuses: this token has expired; " + anew + " (status 410)", ""},
		{"of a site that was taken out", func(site, token string, _ *router) string {
			c.office("agent", "revoke", site+"/main")
			c.office("site", "remove", site)
			return token
		}, "or its site was taken out; have the NOC", "site"},
		{"for another agent than the one that is there", func(_, token string, r *router) string {
			r.writes("agent.toml", "site = \"elsewhere\"\n")
			return token
		}, "agent.toml is the configuration of elsewhere/main, and the token is for SITE/main; replace it with --overwrite, or use the right token", "overwrite"},
		{"beside a configuration that is broken", func(_, token string, r *router) string {
			r.writes("agent.toml", "site = \n")
			return token
		}, "the configuration that is there cannot be read", "overwrite"},
	}
	for n, row := range rows {
		t.Run(row.what, func(t *testing.T) {
			site := fmt.Sprintf("site%d", n)
			c.office("site", "add", site)
			token := strings.TrimSpace(c.office("agent", "add", site+"/main"))
			r := newRouter(t)
			bad := row.spoil(site, token, r)
			before := left(t, r.dir)
			text, status := r.enroll(bad)
			if want := strings.ReplaceAll(row.want, "SITE", site); status != 1 || !strings.Contains(text, want) {
				t.Errorf("ended with %d and says\n%swant 1, and %s", status, text, want)
			}
			if strings.Contains(text, "nabz1-"+token[6:16]) || strings.Contains(text, "hunter2") {
				t.Error("it says the token again:\n" + text)
			}
			if after := left(t, r.dir); !slices.Equal(before, after) {
				t.Errorf("there are %v, and there were %v", after, before)
			}
			var flags []string
			switch row.good {
			case "rotate":
				token = c.office("agent", "rotate", site+"/main")
			case "site":
				c.office("site", "add", site)
				token = c.office("agent", "add", site+"/main")
			case "overwrite":
				flags = []string{"--overwrite"}
			default:
				token = c.office("agent", "add", site+"/main")
			}
			if text, status := r.enroll("“nabz-agent enroll "+strings.TrimSpace(token)+"”", flags...); status != 0 {
				t.Errorf("mended: ended with %d and says\n%s", status, text)
			}
			if got := slices.DeleteFunc(left(t, r.dir), func(name string) bool { return name == "agent.toml.old" }); !slices.Equal(got, []string{"agent.toml", "ca.pem", "secret"}) {
				t.Errorf("mended: there are %v", got)
			}
		})
	}

	// An agent that is enrolled is not invited a second time by mistake.
	if text, status := c.tries("agent", "add", "site0/main"); status != 1 || !strings.Contains(text, "agent site0/main is already there, and enrolled; nabz-collector agent rotate site0/main lets it enrol anew") {
		t.Errorf("agent add for one that is enrolled: %d\n%s", status, text)
	}
}

func (r *router) writes(name, text string) {
	r.t.Helper()
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(r.file(name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// expire lets a day pass for the token of an agent, in the file where its end is kept.
func (c *centre) expire(agent string) {
	c.t.Helper()
	file := agentsFile(c.t, c)
	text := read(c.t, file)
	i := strings.Index(text, "address = \""+agent+"\"")
	if i < 0 {
		c.t.Fatalf("no %s in\n%s", agent, text)
	}
	ends := regexp.MustCompile(`enrol_until = "[^"]*"`)
	where := ends.FindStringIndex(text[i:])
	now := text[:i+where[0]] + `enrol_until = "2026-01-02T00:00:00Z"` + text[i+where[1]:]
	if err := os.WriteFile(file, []byte(now), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// The NOC's own troubles cost no token: its disk is full, or its database is away.
func TestTroublesOfTheNOCCostNoToken(t *testing.T) {
	c, _ := foundCentre(t)
	c.office("site", "add", "gokina")
	c.office("site", "add", "saidpur")
	tokens := []string{c.office("agent", "add", "gokina/main"), c.office("agent", "add", "saidpur/main")}

	// Where the agents' file is there is no room for another.
	small := filepath.Join(c.dir, "small")
	if err := os.Mkdir(small, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=8k"); err != nil {
		testneed.Missing(t, "a mounted file system", "run as root where mounting is allowed: "+err.Error())
	}
	t.Cleanup(func() {
		if c.cmd != nil {
			c.stop()
		}
		if err := syscall.Unmount(small, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	old, file := agentsFile(t, c), filepath.Join(small, "agents.toml")
	for name, text := range map[string]string{file: read(t, old), filepath.Join(small, "other"): strings.Repeat("x", 4096)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.edit(map[string]string{fmt.Sprintf("agents_file = %q", old): fmt.Sprintf("agents_file = %q", file), `url = "` + c.env[0][len("INFLUX_URL="):]: `url = "http://127.0.0.1:9`})
	c.start()
	waitFor(t, 30*time.Second, "the collector to run without its database", func() bool { return strings.Contains(read(t, c.log()), "collector runs") })
	r := newRouter(t)
	go func() {
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline) && !strings.Contains(c.logNow(), "enrolment is refused"); {
			<-time.After(20 * time.Millisecond)
		}
		_ = os.Remove(filepath.Join(small, "other")) // somebody at the NOC reads the log, and makes room
	}()
	text, status := r.enroll(tokens[0])
	if status != 0 || !strings.Contains(text, "the collector says: the collector cannot enrol anybody now; its log says why (status 500); next try in") {
		t.Errorf("ended with %d and says\n%s", status, text)
	}
	if log := read(t, c.log()); !strings.Contains(log, "no space left on device") {
		t.Error("the log does not say why:\n" + log)
	}
	if got := left(t, small); !slices.Equal(got, []string{"agents.toml"}) {
		t.Errorf("left at the NOC: %v", got)
	}
	r.has("agent.toml", "ca.pem", "secret")

	// There was no database all the while.
	if text, status := newRouter(t).enroll(tokens[1]); status != 0 {
		t.Errorf("without a database: ended with %d and says\n%s", status, text)
	}
	if code, _ := get(t, c.web+"/readyz"); code == 200 {
		t.Error("the collector says that it is ready: the database was there")
	}
}

func (c *centre) logNow() string {
	b, err := os.ReadFile(c.log())
	if err != nil {
		return ""
	}
	return string(b)
}
