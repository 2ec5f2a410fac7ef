package mail

import (
	"strings"
	"testing"
)

// hostile styles: reading one whole takes half a minute.
var hostileStyles = map[string]string{
	"border": "border:" + strings.Repeat("1px ", 200000),
	"colour": "color:rgb(" + strings.Repeat("1,", 200000),
	"parens": "color:" + strings.Repeat("(", 400000),
	"braces": strings.Repeat("{", 400000),
	"fonts":  "font-family:" + strings.Repeat("a,", 200000),
}

// TestCleanHTMLReadsNoEndlessStyle: a style longer than any program writes is
// left out, the words stay.
func TestCleanHTMLReadsNoEndlessStyle(t *testing.T) {
	for name, style := range hostileStyles {
		clean, _ := cleanHTML(`<p style="`+style+`">Kính gửi</p><p style="color:red">xin chào</p>`, nil, false)
		if len(clean) > 1000 || !strings.Contains(clean, "Kính gửi") || !strings.Contains(clean, "color: red") {
			t.Errorf("%s: %d bytes: %.200s", name, len(clean), clean)
		}
	}
	many := strings.Repeat(`<p style="border:`+strings.Repeat("1px ", 500)+`">x</p>`, 2*maxStyles/2000)
	if clean, _ := cleanHTML(many, nil, false); strings.Count(clean, "<p") != 2*maxStyles/2000 {
		t.Error("paragraphs were lost with their styles")
	}
}

// BenchmarkCleanHTML is the most that one message's styles can cost.
func BenchmarkCleanHTML(b *testing.B) {
	for name, style := range hostileStyles {
		b.Run(name, func(b *testing.B) {
			dirty := strings.Repeat(`<p style="`+style[:maxStyle]+`">x</p>`, maxStyles/maxStyle)
			b.SetBytes(int64(len(dirty)))
			for b.Loop() {
				cleanHTML(dirty, nil, false)
			}
		})
	}
}
