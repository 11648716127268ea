package web

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/smartvillage/nabz/collector/audit"
	"github.com/smartvillage/nabz/collector/people"
)

// visitor is who asks.
type visitor struct {
	people.User
	token string // of the session; "" for a script, and where no sign-in is asked for
}

// Operates tells whether who asks may change something in a village.
func (v visitor) Operates() bool { return v.Role.Allows(people.Operator) }

type visitorKey struct{}

// visitorOf is who asks; the zero visitor where nobody had to say.
func visitorOf(r *http.Request) visitor {
	v, _ := r.Context().Value(visitorKey{}).(visitor)
	return v
}

var errUnknown = errors.New("not signed in")

// guard lets a request past that the rule of the pattern allows.
func (s *server) guard(pattern string, next http.Handler) http.Handler {
	rule, ok := rules[pattern]
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !ok:
			s.Log.Error("an address has no rule and answers nobody", "pattern", pattern)
			s.refused(w, http.StatusInternalServerError, "This address has no rule", "Nobody has said who may use it, so nobody may. Report it with its address.")
			return
		case s.Open && !isDirect(r) && !rule.all:
			s.refused(w, http.StatusMisdirectedRequest, "This board is for this machine only", "It runs without sign-in (web.open), so it answers to localhost and loopback addresses alone. "+
				"For others set web.open = false and add users.")
			return
		case rule.all:
			if v, ok := s.session(r, true); ok {
				r = r.WithContext(context.WithValue(r.Context(), visitorKey{}, v))
			}
			next.ServeHTTP(w, r)
			return
		}
		v, err := s.visitor(r, rule)
		switch {
		case err != nil:
			s.turnAway(w, r, rule, err)
		case !v.Role.Allows(rule.need):
			s.record(r, v, audit.Entry{What: r.Method + " " + r.URL.Path, Outcome: audit.Refused, Detail: "needs the role " + string(rule.need)})
			s.forbid(w, rule, v)
		default:
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitorKey{}, v)))
		}
	})
}

// visitor tells who asks.
func (s *server) visitor(r *http.Request, rule rule) (visitor, error) {
	if v, ok := s.session(r, true); ok {
		return v, nil
	}
	if name, password, ok := r.BasicAuth(); ok && rule.script && s.People != nil {
		u, fresh, err := s.People.Script(r.Context(), host(r), strings.ToLower(name), password)
		if fresh {
			s.recordSignIn(r, name, "HTTP basic", err)
		}
		return visitor{User: u}, err
	}
	if s.Open || rule.local && isLocal(r) {
		return visitor{User: people.User{Role: people.Viewer}}, nil
	}
	return visitor{}, errUnknown
}

// session tells whose session the request is part of.
func (s *server) session(r *http.Request, use bool) (visitor, bool) {
	c, err := r.Cookie(cookieName(r))
	if err != nil || s.Sessions == nil {
		return visitor{}, false
	}
	u, ok := s.Sessions.User(c.Value, use)
	return visitor{u, c.Value}, ok
}

// still tells whether who has asked may go on being answered. A board that is open keeps a viewer signed in, for the screen on the wall; not an operator.
func (s *server) still(v visitor) bool {
	if v.Name == "" {
		return true
	}
	if v.token != "" {
		_, ok := s.Sessions.User(v.token, v.Role == people.Viewer)
		return ok
	}
	u, ok := s.People.User(v.Name)
	return ok && u.Same(v.User)
}

// turnAway sends people to the sign-in page and tells programs what is missing.
func (s *server) turnAway(w http.ResponseWriter, r *http.Request, rule rule, err error) {
	wait := people.Wait(0)
	switch {
	case errors.As(err, &wait):
		w.Header().Set("Retry-After", strconv.Itoa(wait.Seconds()))
		s.json(w, http.StatusTooManyRequests, apiError{err.Error(), "ask again later, with the right name and password"})
	case errors.Is(err, people.ErrBusy):
		w.Header().Set("Retry-After", "10")
		s.json(w, http.StatusServiceUnavailable, apiError{err.Error(), "ask again later"})
	case rule.script && !strings.Contains(r.Header.Get("Accept"), "text/html"):
		if r.Header.Get("Sec-Fetch-Mode") == "" { // a page's script would have the browser ask in a window of its own
			w.Header().Set("WWW-Authenticate", `Basic realm="nabz", charset="UTF-8"`)
		}
		s.json(w, http.StatusUnauthorized, apiError{err.Error(), "send name and password of a user by HTTP basic, or the cookie of a session"})
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		s.refused(w, http.StatusUnauthorized, "You are not signed in", "Go to /sign-in, then do it again: nothing has been done.")
	default:
		w.Header().Set("Cache-Control", "no-store")
		to := "/sign-in"
		if here := r.URL.RequestURI(); here != "/" {
			to += "?" + url.Values{"next": {here}}.Encode()
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
}

func (s *server) forbid(w http.ResponseWriter, rule rule, v visitor) {
	who := v.Name
	if who == "" {
		who = "nobody in particular"
	}
	if rule.script {
		s.json(w, http.StatusForbidden, apiError{"you are " + who + ", with the role " + string(v.Role), "this needs the role " + string(rule.need)})
		return
	}
	s.failed(w, http.StatusForbidden, "You may not do this", "You are "+who+", with the role "+string(v.Role)+"; this needs the role "+string(rule.need)+".")
}

// record writes to the audit log what v does. A caller must not do what has to be recorded where it returns an error.
func (s *server) record(r *http.Request, v visitor, e audit.Entry) error {
	if s.Audit == nil {
		return nil
	}
	e.Who, e.From = v.Name, client(r)
	err := s.Audit.Record(e)
	if err != nil {
		s.Log.Error("the audit log cannot be written", "error", err)
	}
	return err
}

// behindProxy has a request be that of whom a proxy on this machine asks for: the last entry of X-Forwarded-For, which the proxy itself has written.
func behindProxy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all := r.Header.Values("X-Forwarded-For")
		if peer := net.ParseIP(client(r)); peer != nil && peer.IsLoopback() && len(all) > 0 {
			last := all[len(all)-1]
			if a, err := netip.ParseAddr(strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])); err == nil {
				r = r.WithContext(r.Context()) // a copy
				r.RemoteAddr = netip.AddrPortFrom(a, 0).String()
			}
		}
		next.ServeHTTP(w, r)
	})
}

// client is the address of who asks.
func client(r *http.Request) string {
	h, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return h
}

// host is whose tries they are: an IPv4 address, or the /64 of an IPv6 one, of which one machine has all.
func host(r *http.Request) string {
	h := client(r)
	a, err := netip.ParseAddr(h)
	if err != nil {
		return h
	}
	if a = a.Unmap().WithZone(""); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// onThisMachine tells whether a Host header names this machine as only its own programs can: a page of a stranger, whose name was made to lead here, has another.
func onThisMachine(hostport string) bool {
	h, _, err := net.SplitHostPort(hostport)
	if err != nil {
		h = strings.Trim(hostport, "[]")
	}
	ip := net.ParseIP(h)
	return h == "localhost" || ip != nil && ip.IsLoopback()
}

// isLocal tells whether a program on this machine asks, and no proxy for somebody else.
func isLocal(r *http.Request) bool {
	ip := net.ParseIP(client(r))
	return ip != nil && ip.IsLoopback() && isDirect(r)
}

// isDirect tells whether this machine was asked for by a name of its own, and no proxy says that it asks for somebody else.
func isDirect(r *http.Request) bool {
	for _, h := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Forwarded", "Via"} {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	return onThisMachine(r.Host)
}
