package press_test

import (
	"context"
	"regexp"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/smartvillage/nabz/internal/npmpack"
	"github.com/smartvillage/nabz/internal/testneed"
)

func TestAPageHasNoFaultOfAccessibility(t *testing.T) {
	npm := testneed.Program(t, "npm", "apt-get install npm")
	packages, err := npmpack.Read("../web/testdata/packages.toml")
	if err != nil {
		t.Fatal(err)
	}
	files, err := packages[0].Fetch(t.Context(), npm)
	if err != nil && regexp.MustCompile(`\bE(NOTFOUND|AI_AGAIN|CONNREFUSED|CONNRESET|TIMEDOUT|NETUNREACH|HOSTUNREACH)\b`).MatchString(err.Error()) {
		testneed.Missing(t, "the npm registry", err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	b := open(t)
	for _, w := range []words{english(), urdu()} {
		server := board(t, sample(w, 12))
		for _, scheme := range []string{"light", "dark"} {
			b.do(t, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
				_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
				return err
			}), chromedp.Navigate(server.URL), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
				_, err := chromedp.Evaluate[bool](string(files["axe.min.js"])+"\n;true")(ctx, t)
				return err
			}))
			type report struct {
				Faults []string
				Passes int
			}
			r, err := chromedp.Run(b, chromedp.Evaluate[report](`axe.run(document.querySelector('.press')).then(r => ({Passes: r.passes.length,
				Faults: r.violations.map(v => v.impact + ': ' + v.help + ' (' + v.id + ') ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 200) + ' ' + (n.failureSummary ?? '').slice(0, 300)).join('\n'))}))`, chromedp.EvalAwaitPromise))
			if err != nil || r.Passes < 8 {
				t.Errorf("%s, %s: axe-core passed %d rules (%v)", w.language, scheme, r.Passes, err)
			}
			for _, fault := range r.Faults {
				t.Errorf("%s, %s: %s", w.language, scheme, fault)
			}
		}
	}
}
