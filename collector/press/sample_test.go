package press_test

import (
	"fmt"
	"math"
	"strings"

	"github.com/smartvillage/nabz/collector/press"
)

// words are the texts of a sample in one language.
type words struct {
	language                                                                              string
	rtl                                                                                   bool
	title, intro, period, selection, notCitable, why, provisional, still, all, cards      string
	availability, ofLink, sites, outages, restored, pass, fail, unsure, site, place, days string
	behind, spent, up, slow, down, off, unknown, causes, bands, trend, before, now, none  string
	target, hash, months                                                                  string
	places                                                                                []string
}

func english() words {
	return words{
		language: "en", title: "Internet in the villages: October 2026", intro: "Of 24 villages in the district of Islamabad this report says how long the internet could be used, how fast it was and what stood in its way. Time of which nothing is known counts as unknown, never as up.",
		period: "Period", selection: "Sites", notCitable: "Not citable.", why: "Of two sites less than 90 % of the time is known; their figures must not be cited.",
		provisional: "Provisional.", still: "The period is not over; figures end at 28 November 2026, 10:00 UTC, and will change.", all: "all 24 of the district of Islamabad", cards: "The month at a glance",
		availability: "Availability as the village felt it", ofLink: "Availability of the link while powered", sites: "Sites counted", outages: "Outages", restored: "Mean time to restore", pass: "pass", fail: "fail", unsure: "not enough data",
		site: "Site", place: "Place", days: "3 h 12 min", behind: "24 sites and 1,204 tests stand behind this table.", spent: "How the time was spent", up: "Up 94.1 %", slow: "Degraded 2.2 %", down: "Down 1.4 %", off: "No power 1.3 %", unknown: "Unknown 1.0 %",
		causes: "Outages by cause", bands: "Sites by availability", trend: "Availability by day", before: "September", now: "October", none: "No site was left out.", target: "target 99 %", hash: "Report, SHA-256", months: "October 2026, Asia/Karachi",
		places: []string{"Sihala basic health unit", "Tarlai girls' school", "Bhara Kahu community centre", "Nilore", "Rawat post office"},
	}
}

func urdu() words {
	i := press.IsolateLTR
	return words{
		language: "ur", rtl: true, title: "دیہات میں انٹرنیٹ: اکتوبر 2026", intro: "یہ رپورٹ بتاتی ہے کہ ضلع اسلام آباد کے 24 دیہات میں انٹرنیٹ کتنی دیر قابلِ استعمال رہا، کتنا تیز تھا اور کس وجہ سے رکا۔ جس وقت کے بارے میں کچھ معلوم نہیں وہ نامعلوم شمار ہوتا ہے، کبھی چالو نہیں۔ مثلاً " + i("sihala-bhu-01") + " کی دستیابی " + i("97.43 %") + " رہی۔",
		period: "مدت", selection: "مقامات", notCitable: "قابلِ حوالہ نہیں۔", why: "دو مقامات کا 90 فیصد سے کم وقت معلوم ہے؛ ان کے اعداد کا حوالہ نہ دیا جائے۔",
		provisional: "عارضی۔", still: "مدت ابھی ختم نہیں ہوئی؛ اعداد " + i("2026-11-28 10:00 UTC") + " تک کے ہیں اور بدلیں گے۔", all: "ضلع اسلام آباد کے تمام 24", cards: "مہینہ ایک نظر میں",
		availability: "دستیابی، جیسی گاؤں نے محسوس کی", ofLink: "بجلی کی موجودگی میں رابطے کی دستیابی", sites: "شمار کیے گئے مقامات", outages: "بندشیں", restored: "بحالی کا اوسط وقت", pass: "کامیاب", fail: "ناکام", unsure: "ڈیٹا ناکافی",
		site: "مقام", place: "جگہ", days: "3 گھنٹے 12 منٹ", behind: "اس جدول کے پیچھے 24 مقامات اور 1,204 جانچیں ہیں۔", spent: "وقت کیسے گزرا", up: "چالو 94.1 %", slow: "سست 2.2 %", down: "بند 1.4 %", off: "بجلی نہیں 1.3 %", unknown: "نامعلوم 1.0 %",
		causes: "وجہ کے لحاظ سے بندشیں", bands: "دستیابی کے لحاظ سے مقامات", trend: "روزانہ دستیابی", before: "ستمبر", now: "اکتوبر", none: "کوئی مقام چھوڑا نہیں گیا۔", target: "ہدف 99 %", hash: "رپورٹ، " + i("SHA-256"), months: "اکتوبر 2026، " + i("Asia/Karachi"),
		places: []string{"سہالہ بنیادی مرکزِ صحت", "ترلائی گرلز سکول", "بھارہ کہو کمیونٹی سنٹر", "نیلور", "روات ڈاک خانہ"},
	}
}

const sha = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// sample is a report as it may be, with a table of some rows.
func sample(w words, rows int) press.Document {
	percent := func(v float64) string { return fmt.Sprintf("%.2f %%", v) }
	var cells [][]press.Cell
	for i := range rows {
		share := 1 - math.Abs(math.Sin(float64(i+1)))/12
		mark := press.Mark{Kind: press.MarkGood, Text: w.pass}
		if share < .95 {
			mark = press.Mark{Kind: press.MarkBad, Text: w.fail}
		}
		if i%7 == 6 {
			mark = press.Mark{Kind: press.MarkUnsure, Text: w.unsure}
		}
		cells = append(cells, []press.Cell{{Text: w.places[i%len(w.places)], Detail: fmt.Sprintf("site-%04d", i+1)}, {Text: fmt.Sprintf("islamabad-%d", i%9)}, {Text: percent(100 * share), Bar: share},
			{Text: percent(100 - 2*(1-share))}, {Text: fmt.Sprint(i % 13)}, {Text: w.days}, {Mark: mark}})
	}
	var days, ticks = []string{}, []press.Tick{}
	var values, earlier []float64
	for d := range 31 {
		days, values, earlier = append(days, fmt.Sprint(d+1)), append(values, .9+.1*math.Abs(math.Sin(float64(d)))), append(earlier, .93)
	}
	values[12] = math.NaN()
	for _, v := range press.Steps(.9, 1) {
		ticks = append(ticks, press.Tick{Value: v, Text: fmt.Sprintf("%.1f %%", 100*v)})
	}
	count := func(most float64) press.Axis {
		a := press.Axis{Max: most}
		for _, v := range press.Steps(0, most) {
			a.Ticks = append(a.Ticks, press.Tick{Value: v, Text: fmt.Sprint(v)})
		}
		return a
	}
	return press.Document{
		Title: w.title, Language: w.language, RTL: w.rtl, Foot: w.hash + ": " + press.IsolateLTR(sha),
		Blocks: []press.Block{
			press.Paragraph{Text: w.intro},
			press.Facts{Rows: []press.Fact{{Name: w.period, Value: w.months}, {Name: w.selection, Value: w.all}, {Name: w.hash, Value: sha, Code: true, Link: "https://nabz.example/reports/2026-10"}}},
			press.Note{Kind: press.NoteProvisional, Title: w.provisional, Text: w.still},
			press.Note{Kind: press.NoteWarning, Title: w.notCitable, Text: w.why},
			press.Heading{Level: 1, Text: w.cards},
			press.Cards{Cards: []press.Card{{Label: w.availability, Value: "96.21 %", Detail: w.before + ": 95.80 %", Mark: press.Mark{Kind: press.MarkBad, Text: w.fail}}, {Label: w.ofLink, Value: "98.73 %", Mark: press.Mark{Kind: press.MarkUnsure, Text: w.unsure}},
				{Label: w.sites, Value: "24"}, {Label: w.restored, Value: w.days, Mark: press.Mark{Kind: press.MarkGood, Text: w.pass}}}},
			press.Chart{Caption: w.spent, Description: w.up + ", " + w.down, Behind: w.behind, Plot: press.Stack{Rows: []press.StackRow{
				{Label: w.before, Text: "95.80 %", Parts: []press.Part{{Tone: press.ToneUp, Text: w.up, Value: 94.1}, {Tone: press.ToneDegraded, Text: w.slow, Value: 2.2}, {Tone: press.ToneDown, Text: w.down, Value: 1.4}, {Tone: press.ToneOff, Text: w.off, Value: 1.3}, {Tone: press.ToneUnknown, Text: w.unknown, Value: 1}}},
				{Label: w.now, Text: "96.21 %", Parts: []press.Part{{Tone: press.ToneUp, Text: w.up, Value: 84.1}, {Tone: press.ToneDegraded, Text: w.slow, Value: 4.2}, {Tone: press.ToneDown, Text: w.down, Value: 3.4}, {Tone: press.ToneOff, Text: w.off, Value: 6.3}, {Tone: press.ToneUnknown, Text: w.unknown, Value: 2}}}}}},
			press.Chart{Caption: w.trend, Description: w.intro, Plot: press.Graph{Labels: days, Axis: press.Axis{Min: .9, Max: 1, Ticks: ticks}, Levels: []press.Level{{Value: .99, Text: w.target}},
				Series: []press.Series{{Name: w.now, Tone: press.ToneA, Values: values}, {Name: w.before, Tone: press.ToneB, Line: true, Values: earlier}}}},
			press.Heading{Level: 2, Text: w.causes},
			press.Chart{Caption: w.causes, Description: w.intro, Plot: press.Graph{Labels: []string{w.off, w.down, w.slow}, Axis: count(30),
				Series: []press.Series{{Name: w.before, Tone: press.ToneASoft, Values: []float64{12, 7, 3}, Texts: []string{"12", "7", "3"}}, {Name: w.now, Tone: press.ToneA, Values: []float64{27, 4, 0}, Texts: []string{"27", "4", "0"}}}}},
			press.Chart{Caption: w.bands, Description: w.intro, Plot: press.Graph{Labels: []string{"< 90 %", "90–95 %", "95–98 %", "98–99 %", "≥ 99 %"}, Axis: count(12),
				Series: []press.Series{{Tone: press.ToneA, Values: []float64{1, 2, 6, 11, 4}, Texts: []string{"1", "2", "6", "11", "4"}}}}},
			press.PageBreak{},
			press.Table{Caption: w.sites, Behind: w.behind, Empty: w.none, Rows: cells, Columns: []press.Column{{Name: w.site}, {Name: "id", Kind: press.ColumnCode}, {Name: w.availability, Kind: press.ColumnBar}, {Name: w.ofLink, Kind: press.ColumnNumber},
				{Name: w.outages, Kind: press.ColumnNumber}, {Name: w.restored, Kind: press.ColumnNumber}, {Name: w.target}}},
			press.Table{Caption: w.none, Empty: w.none, Columns: []press.Column{{Name: w.site}}},
			press.Paragraph{Small: true, Text: strings.Repeat(w.intro+" ", 3)},
		},
	}
}
