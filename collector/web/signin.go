package web

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/audit"
	"github.com/smartvillage/nabz/collector/people"
)

type signInPage struct {
	head
	Name, Next, Fault string
	Empty             bool // there is nobody who could sign in
}

// maxForm bounds what a form may bring, in bytes.
const maxForm = 8 << 10

// signInForm is the page with the form.
func (s *server) signInForm(w http.ResponseWriter, r *http.Request) {
	next := localPath(r.URL.Query().Get("next"))
	if visitorOf(r).Name != "" {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return
	}
	s.signInPage(w, http.StatusOK, signInPage{Next: next})
}

func (s *server) signInPage(w http.ResponseWriter, status int, p signInPage) {
	p.head = s.head("Sign in – nabz", "sign-in", s.Now())
	p.head.Troubles = nil // are for those who may look
	p.Empty = s.People == nil || len(s.People.Users()) == 0
	text, err := s.render("sign-in", p)
	if err != nil {
		s.Log.Error("the sign-in page cannot be drawn", "error", err)
		http.Error(w, "the sign-in page could not be drawn; the collector's log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// signIn takes the form.
func (s *server) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		s.refused(w, http.StatusBadRequest, "The form could not be read", "Go back to /sign-in and try again.")
		return
	}
	name := strings.ToLower(strings.TrimSpace(r.PostForm.Get("name"))) // a telephone likes to begin with a capital
	p := signInPage{Name: name, Next: localPath(r.PostForm.Get("next"))}
	if s.People == nil {
		s.signInPage(w, http.StatusForbidden, p)
		return
	}
	u, err := s.People.SignIn(r.Context(), host(r), name, r.PostForm.Get("password"))
	wait := people.Wait(0)
	switch {
	case errors.As(err, &wait):
		w.Header().Set("Retry-After", strconv.Itoa(wait.Seconds()))
		p.Fault = "Too many tries. Wait " + span(time.Duration(wait.Seconds())*time.Second) + ", then try again."
		s.signInPage(w, http.StatusTooManyRequests, p)
		return
	case errors.Is(err, people.ErrBusy):
		w.Header().Set("Retry-After", "10")
		p.Fault = "Too many are signing in just now. Try again in a moment."
		s.signInPage(w, http.StatusServiceUnavailable, p)
		return
	}
	s.recordSignIn(r, name, "sign-in page", err)
	if err != nil {
		p.Fault = "Name or password is wrong."
		s.signInPage(w, http.StatusForbidden, p)
		return
	}
	if old := visitorOf(r); old.token != "" {
		s.Sessions.End(old.token)
	}
	http.SetCookie(w, cookie(r, s.Sessions.Begin(u), int(s.SessionLife.Seconds())))
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, p.Next, http.StatusSeeOther)
}

// recordSignIn writes a sign-in that was tried to the audit log. A name that nobody has is not written down: it may be a password in the wrong field. Nobody
// is kept out by a disk that is full.
func (s *server) recordSignIn(r *http.Request, name, how string, err error) {
	name = strings.ToLower(name)
	e := audit.Entry{What: "sign in", Outcome: audit.Done, Detail: how}
	wait := people.Wait(0)
	switch {
	case errors.As(err, &wait) || errors.Is(err, people.ErrBusy):
		return // not even looked at; /metrics has the number
	case err != nil:
		e.Outcome = audit.Refused
		if _, known := s.People.User(name); !known {
			name, e.Detail = "", how+", a name that nobody has"
		} else {
			e.Detail += ", wrong password"
		}
	}
	_ = s.record(r, visitor{User: people.User{Name: name}}, e) // was logged
}

// signOut ends the session.
func (s *server) signOut(w http.ResponseWriter, r *http.Request) {
	if v := visitorOf(r); v.token != "" {
		s.Sessions.End(v.token)
		_ = s.record(r, v, audit.Entry{What: "sign out", Outcome: audit.Done}) // was logged
	}
	http.SetCookie(w, cookie(r, "", -1))
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
}

// apiMe tells who asks.
func (s *server) apiMe(w http.ResponseWriter, r *http.Request) {
	v := visitorOf(r)
	s.json(w, http.StatusOK, struct {
		User string      `json:"user"` // "" where no sign-in is asked for
		Role people.Role `json:"role"`
	}{v.Name, v.Role})
}

// overTLS tells whether the browser came by TLS, to us or to a proxy that says so. A browser that lies about it harms only itself.
func overTLS(r *http.Request) bool {
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"
}

// cookieName is one that, over TLS, only this very host can have set, and only over TLS.
func cookieName(r *http.Request) string {
	if overTLS(r) {
		return "__Host-nabz"
	}
	return "nabz"
}

// cookie is Lax and not Strict, so that a link in a message leads to the page and not to a sign-in; what changes something needs POST, to which Lax gives nothing,
// and passes http.CrossOriginProtection too.
func cookie(r *http.Request, token string, age int) *http.Cookie {
	return &http.Cookie{Name: cookieName(r), Value: token, Path: "/", MaxAge: age, HttpOnly: true, Secure: overTLS(r), SameSite: http.SameSiteLaxMode}
}

// localPath is where to go after the sign-in: a path of ours, else the board.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") ||
		strings.HasPrefix(u.Path, "/sign-") || len(next) > 2000 {
		return "/"
	}
	return next
}
