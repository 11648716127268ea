package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// resendEvery is how often Alertmanager hears of all that goes on.
const resendEvery = time.Minute

// holdFor is how long Alertmanager takes an alert for one that goes on without hearing of it again. A collector that is silent for less must not look like
// villages that are well again; silence itself is what the heartbeat is for.
const holdFor = time.Hour

// Alertmanager is Prometheus' Alertmanager, told by version 2 of its API. An alert is the same to it when its labels are the same, so what is told twice counts once.
type Alertmanager struct {
	name   string
	least  Severity
	url    string
	veil   *veil
	client *http.Client
}

// NewAlertmanager makes a channel to the Alertmanager at an address such as http://127.0.0.1:9093.
func NewAlertmanager(name, address string, least Severity) (*Alertmanager, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("is not the address of an Alertmanager; write it as http://127.0.0.1:9093")
	}
	return &Alertmanager{name: name, least: least, url: strings.TrimSuffix(address, "/"), veil: newVeil(address),
		client: &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}}, nil
}

// Name is that in the configuration.
func (a *Alertmanager) Name() string { return a.name }

// Least is what it is told at least.
func (a *Alertmanager) Least() Severity { return a.least }

// Resend says that it wants to hear of all again.
func (a *Alertmanager) Resend() time.Duration { return resendEvery }

// posted is an alert as the API takes it.
type posted struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
	Generator   string            `json:"generatorURL,omitempty"`
}

// alertname is the rule in the form that is usual there: NabzUnreachable.
func alertname(r Rule) string { return "Nabz" + strings.ToUpper(string(r[:1])) + string(r[1:]) }

func post(x *Alert, m *Message) posted {
	p := posted{Labels: map[string]string{"alertname": alertname(x.Rule), "rule": string(x.Rule), "severity": string(x.Severity), "alert": x.ID},
		Annotations: map[string]string{"summary": x.Title, "description": x.Text}, StartsAt: x.Began, EndsAt: x.Ended}
	if x.Active() {
		p.EndsAt = m.Now.Add(holdFor)
	}
	set := func(to map[string]string, key, value string) {
		if value != "" {
			if !utf8.ValidString(value) {
				value = strings.ToValidUTF8(value, "�")
			}
			to[key] = value
		}
	}
	set(p.Labels, "site", x.Site)
	set(p.Labels, "district", x.District)
	set(p.Labels, "operator", x.Operator)
	set(p.Annotations, "probable_cause", x.Cause)
	set(p.Annotations, "sites", strings.Join(x.Sites, " "))
	set(p.Annotations, "acknowledged_by", x.AcknowledgedBy)
	if m.Link != "" {
		p.Generator = strings.TrimSuffix(m.Link, "/") + "/alerts"
	}
	return p
}

// Send tells of all that goes on and of what has ended lately, and with it that the collector is well.
func (a *Alertmanager) Send(ctx context.Context, m Message) (string, error) {
	all := []posted{}
	for i := range m.All {
		all = append(all, post(&m.All[i], &m))
	}
	for _, n := range m.News {
		if n.What == Tested {
			all = append(all, post(&n.Alert, &m))
		}
	}
	if !m.Beat.IsZero() {
		all = append(all, posted{Labels: map[string]string{"alertname": "NabzHeartbeat", "severity": string(Info)},
			Annotations: map[string]string{"summary": "always there while the nabz collector is well; when it ends, look after the collector"},
			StartsAt:    m.Started, EndsAt: m.Beat})
	}
	if len(all) == 0 {
		return "nothing to tell", nil
	}
	body, err := json.Marshal(all)
	if err != nil {
		return "", err
	}
	answer, err := a.ask(ctx, http.MethodPost, "/api/v2/alerts", body)
	if err != nil {
		return "", err
	}
	return answer, nil
}

func (a *Alertmanager) ask(ctx context.Context, method, path string, body []byte) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, bytes.NewReader(body))
	if err != nil {
		return "", a.veil.hidden(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := a.client.Do(req)
	if err != nil {
		return "", a.veil.hidden(err)
	}
	defer res.Body.Close()
	said, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err != nil {
		return "", a.veil.hidden(err)
	}
	if res.StatusCode/100 != 2 {
		return "", a.veil.hidden(fmt.Errorf("%s: %s", res.Status, strings.TrimSpace(string(said))))
	}
	return res.Status, nil
}
