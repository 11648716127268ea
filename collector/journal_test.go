package collector

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/collector/people"
	"github.com/smartvillage/nabz/internal/influxd"
)

// What an operator writes at the board of a collector is there for the next one, and a viewer reads it.
func TestWhatOperatorsWriteOutlivesTheCollector(t *testing.T) {
	db := influxd.ForTest(t)
	s := startWith(t, 0, func(c *Config) {
		c.Influx.URL, c.Influx.Token, c.Influx.Org = db.URL, db.Token, db.Org
		c.Influx.DetailBucket, c.Influx.LedgerBucket = db.Database(t, "nabz"), db.Database(t, "ledger")
		c.Web.Open, c.UsersFile = false, filepath.Join(c.DataDir, "users.toml")
	})
	const secret = "umbrella glacier ladder apricot"
	users, err := people.Open(s.c.Users())
	if err != nil {
		t.Fatal(err)
	}
	for name, role := range map[string]people.Role{"aisha": people.Operator, "wall": people.Viewer} {
		if err := users.Add(name, role, secret); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(client *http.Client, path string, form url.Values) (status int, body string) {
		t.Helper()
		get := func() (*http.Response, error) { return client.Get(s.url + path) }
		if form != nil {
			get = func() (*http.Response, error) { return client.PostForm(s.url+path, form) }
		}
		res, err := get()
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	enter := func(name string) *http.Client {
		jar, _ := cookiejar.New(nil)
		client := &http.Client{Jar: jar}
		waitFor(t, name+" is known", func() bool {
			_, body := ask(client, "/sign-in", url.Values{"name": {name}, "password": {secret}})
			return strings.Contains(body, ">"+name+"<")
		})
		return client
	}
	operator := enter("aisha")
	if status, body := ask(operator, "/sites/gokina/comment", url.Values{"text": {"new mast"}}); status != 200 || !strings.Contains(body, "Your comment is kept.") {
		t.Errorf("commenting answers %d %.500s", status, body)
	}
	if status, body := ask(operator, "/maintenance", url.Values{"site": {"gokina"}, "weekly": {"Su 02:00-04:00"}, "zone": {"Asia/Karachi"}, "reason": {"upgrades"}}); status != 200 || !strings.Contains(body, "is planned.") {
		t.Errorf("planning answers %d %.500s", status, body)
	}
	s.stop()

	again, err := build(s.c, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + again.web.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- again.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("collector: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	viewer := enter("wall")
	if _, body := ask(viewer, "/sites/gokina", nil); !strings.Contains(body, "new mast") || !strings.Contains(body, "<b>aisha</b> wrote") || !strings.Contains(body, "each week Su 02:00-04:00") {
		t.Errorf("a viewer reads %.3000s", body)
	}
	if status, _ := ask(viewer, "/sites/gokina/comment", url.Values{"text": {"mine"}}); status != http.StatusForbidden {
		t.Errorf("a viewer who comments is answered %d", status)
	}
}
