package web

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/people"
)

func TestSigningInAndOut(t *testing.T) {
	c := newClosed(t, noon)
	c.settle()
	_, form := c.ask("GET", "/sign-in?next=/sites/passu", nil)
	for _, part := range []string{`<form method="post" action="/sign-in">`, `name="next" value="/sites/passu"`, `autocomplete="current-password"`} {
		if !strings.Contains(form, part) {
			t.Errorf("the form does not have %s:\n%s", part, form)
		}
	}
	cookie := c.signIn(" Aisha ")
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Secure || cookie.MaxAge != 7*24*3600 || len(cookie.Value) != 43 {
		t.Errorf("cookie is %v", cookie)
	}
	for path, part := range map[string]string{"/": "Passu school", "/sites/passu": ">aisha</span><button>Sign out</button>", "/api/v1/me": `"role":"operator"`} {
		if res, body := c.ask("GET", path, nil, as(cookie)); res.StatusCode != 200 || !strings.Contains(body, part) {
			t.Errorf("%s answers %d and does not say %q", path, res.StatusCode, part)
		}
	}
	if res, _ := c.ask("GET", "/sign-in?next=/api/v1/sites", nil, as(cookie)); res.StatusCode != 303 || res.Header.Get("Location") != "/api/v1/sites" {
		t.Errorf("who is signed in already is asked again: %d %v", res.StatusCode, res.Header)
	}
	c.build() // a restart
	if res, _ := c.ask("GET", "/", nil, as(cookie)); res.StatusCode != 200 {
		t.Errorf("after a restart the board answers %d", res.StatusCode)
	}
	if res, _ := c.ask("POST", "/sign-out", nil, as(cookie), header("Sec-Fetch-Site", "cross-site")); res.StatusCode != 403 {
		t.Errorf("another site signed somebody out: %d", res.StatusCode)
	}
	res, _ := c.ask("POST", "/sign-out", nil, as(cookie))
	if res.StatusCode != 303 || res.Header.Get("Location") != "/sign-in" || len(res.Cookies()) != 1 || res.Cookies()[0].MaxAge >= 0 {
		t.Errorf("signing out answers %d %v", res.StatusCode, res.Header)
	}
	if res, _ := c.ask("GET", "/", nil, as(cookie)); res.StatusCode != 303 {
		t.Errorf("after signing out the board answers %d", res.StatusCode)
	}
	var said []string
	for _, e := range c.audited("done") {
		said = append(said, e.Who+" "+e.What+" from "+e.From)
	}
	if got, want := strings.Join(said, ", "), "aisha sign in from 192.0.2.1, aisha sign out from 192.0.2.1"; got != want {
		t.Errorf("recorded: %s\nwant %s", got, want)
	}
}

func TestASecondSignInEndsTheFirst(t *testing.T) {
	c := newClosed(t, noon)
	first := c.signIn("wall")
	second := c.signIn("aisha", as(first))
	if first.Value == second.Value {
		t.Error("the token stays the same")
	}
	if res, _ := c.ask("GET", "/", nil, as(first)); res.StatusCode != 303 {
		t.Errorf("the first session goes on: %d", res.StatusCode)
	}
}

func TestAWrongNameAndAWrongPasswordAreToldAlike(t *testing.T) {
	c := newClosed(t, noon)
	try := func(name, password string) (int, string) {
		res, body := c.ask("POST", "/sign-in", url.Values{"name": {name}, "password": {password}})
		if len(res.Cookies()) > 0 {
			t.Errorf("%s got a cookie", name)
		}
		return res.StatusCode, strings.ReplaceAll(body, name, "NAME")
	}
	for i := range 6 {
		known, one := try("aisha", "magenta cactus teapot river")
		unknown, other := try("omari", "magenta cactus teapot river")
		want, words := 403, "Name or password is wrong."
		if i == 5 {
			want, words = 429, "Too many tries. Wait "
		}
		if known != want || unknown != want || !strings.Contains(one, words) || i < 5 && one != other {
			t.Errorf("try %d: %d and %d, want %d alike:\n%s\n%s", i+1, known, unknown, want, one, other)
		}
	}
	refused := c.audited("refused")
	if len(refused) != 10 || refused[0].Who != "aisha" || refused[0].Detail != "sign-in page, wrong password" || refused[1].Who != "" {
		t.Errorf("recorded: %+v", refused)
	}
	if status, _ := try(strings.Repeat("a", 9000), "x"); status != 400 {
		t.Errorf("a huge form answers %d, want 400", status)
	}
}

func TestASignInPageOfNobodySaysWhatToType(t *testing.T) {
	c := newClosed(t, noon)
	for _, name := range []string{"aisha", "wall"} {
		if err := c.people.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if _, body := c.ask("GET", "/sign-in", nil); !strings.Contains(body, "nabz-collector user add NAME --role operator") || strings.Contains(body, "<form") {
		t.Errorf("it says %s", body)
	}
}

func TestOnlyPathsOfOursAreGoneToAfterwards(t *testing.T) {
	for next, want := range map[string]string{"/": "/", "/sites/passu?range=7d": "/sites/passu?range=7d", "": "/", "//evil.example": "/", "https://evil.example/": "/", "/\\evil.example": "/", "\\\\evil.example": "/",
		"javascript:alert(1)": "/", "/sign-out": "/", "/sign-in?next=/sign-in": "/", "/a\r\nSet-Cookie: x=y": "/", "/%zz": "/", "sites": "/", "/" + strings.Repeat("a", 3000): "/", "/?q=//evil.example": "/?q=//evil.example"} {
		if got := localPath(next); got != want {
			t.Errorf("%.40q leads to %q, want %q", next, got, want)
		}
	}
}

func FuzzLocalPath(f *testing.F) {
	f.Add("//evil.example")
	f.Add("/\t/evil.example")
	base, _ := url.Parse("https://noc.example/sign-in")
	f.Fuzz(func(t *testing.T, next string) {
		to, err := base.Parse(localPath(next))
		if err != nil || to.Host != "noc.example" || to.Scheme != "https" {
			t.Errorf("%q leads to %v (%v)", next, to, err)
		}
	})
}

func TestOverTLSTheCookieIsSecureAndPlainHTTPIsForgotten(t *testing.T) {
	c := newClosed(t, noon)
	byTLS := func(r *http.Request) { r.TLS = &tls.ConnectionState{} }
	cookie := c.signIn("wall", byTLS)
	if !cookie.Secure || cookie.Name != "__Host-nabz" {
		t.Errorf("cookie is %v", cookie)
	}
	res, _ := c.ask("GET", "/", nil, as(cookie), byTLS)
	if res.StatusCode != 200 || res.Header.Get("Strict-Transport-Security") != "max-age=31536000" {
		t.Errorf("answers %d %v", res.StatusCode, res.Header)
	}
	if res, _ := c.ask("GET", "/", nil, as(&http.Cookie{Name: "nabz", Value: cookie.Value}), byTLS); res.StatusCode != 303 {
		t.Errorf("over TLS a cookie that anybody on the way could have set is taken: %d", res.StatusCode)
	}
	if cookie := c.signIn("wall", header("X-Forwarded-Proto", "https")); !cookie.Secure {
		t.Errorf("behind a proxy with TLS the cookie is %v", cookie)
	}
	if res, _ := c.ask("GET", "/sign-in", nil); res.Header.Get("Strict-Transport-Security") != "" {
		t.Error("plain HTTP promises TLS")
	}
}

func TestHeadersKeepABrowserToWhatThePagesNeed(t *testing.T) {
	c := newClosed(t, noon)
	cookie := c.cookieOf("wall")
	for _, path := range []string{"/", "/sign-in", "/sites/passu", "/nothing", "/api/v1/sites", "/metrics", "/readyz", "/static/x"} {
		for _, who := range []*http.Cookie{nil, cookie} {
			res, _ := c.ask("GET", path, nil, as(who))
			for name, want := range map[string]string{"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Permissions-Policy": permissions, "Cross-Origin-Opener-Policy": "same-origin",
				"Cross-Origin-Resource-Policy": "same-origin"} {
				if got := res.Header.Get(name); got != want {
					t.Errorf("%s: %s is %q, want %q", path, name, got, want)
				}
			}
		}
	}
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy is %q", policy)
	}
}

func TestTheBoardOfWhoIsSignedOutEndsWithinASecond(t *testing.T) {
	c := newClosed(t, time.Time{})
	c.settle()
	server := c.serve(t)
	cookie := c.cookieOf("aisha")
	open := func() *http.Response {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/events", nil)
		r.AddCookie(cookie)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	res := open()
	if res.StatusCode != 200 {
		t.Fatalf("answers %d", res.StatusCode)
	}
	ended := make(chan int64, 1)
	go func() {
		n, _ := res.Body.Read(make([]byte, 1))
		b := make([]byte, 64<<10)
		for {
			if _, err := res.Body.Read(b); err != nil {
				break
			}
		}
		ended <- int64(n)
	}()
	c.server.Sessions.End(cookie.Value)
	select {
	case n := <-ended:
		if n == 0 {
			t.Error("nothing came before the end")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the stream goes on")
	}
	if res := open(); res.StatusCode != 401 {
		t.Errorf("opened again it answers %d, want 401", res.StatusCode)
	}
}

func TestAnOpenBoardKeepsAViewerSignedInAndNotAnOperator(t *testing.T) {
	c := newClosed(t, noon)
	later := func(d time.Duration) {
		c.mu.Lock()
		c.at = c.at.Add(d)
		c.mu.Unlock()
	}
	visitors := map[string]visitor{}
	for _, name := range []string{"aisha", "wall"} {
		u, _ := c.people.User(name)
		visitors[name] = visitor{u, c.server.Sessions.Begin(u)}
	}
	for range 3 {
		later(5 * time.Hour)
		for name, v := range visitors {
			if on, want := c.server.still(v), v.Role == people.Viewer || c.at.Sub(noon) < 12*time.Hour; on != want {
				t.Errorf("%s after %v: goes on %v, want %v", name, c.at.Sub(noon), on, want)
			}
		}
	}
}
