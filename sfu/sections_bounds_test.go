package sfu

import (
	"fmt"
	"strings"
	"testing"
)

// Descriptions that would take Pion minutes, or hundreds of megabytes, are not
// read. What is in them is in small numbers in what clients write.
func TestDescriptionsAreBounded(t *testing.T) {
	repeat := func(format string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	const head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
	section := func(formats, lines string) string {
		return "m=video 9 UDP/TLS/RTP/SAVPF" + formats + "\r\nc=IN IP4 0.0.0.0\r\n" + lines
	}
	for name, write := range map[string]func(n int) string{
		"sections":         func(n int) string { return head + strings.Repeat(section(" 96", ""), n) },
		"lines":            func(n int) string { return head + section(" 96", repeat("a=rtcp-fb:96 x%d\r\n", 20*n)) },
		"lines before all": func(n int) string { return head + repeat("a=x:%d\r\n", 20*n) + section(" 96", "") },
		"formats":          func(n int) string { return head + section(repeat(" %d", 2*n), "") },
		"rids":             func(n int) string { return head + section(" 96", repeat("a=rid:%d send\r\n", n/4)) },
		"streams": func(n int) string {
			return head + strings.Repeat(section(" 96", repeat("a=ssrc:%d cname:x\r\n", 40)), n)
		},
		"groups of streams": func(n int) string {
			return head + strings.Repeat(section(" 96", repeat("a=ssrc-group:FID %[1]d 1%[1]d\r\n", 8)), n)
		},
		"candidates": func(n int) string {
			return head + section(" 96", repeat("a=candidate:%d 1 udp 1 192.0.2.1 9 typ host\r\n", n))
		},
	} {
		for n, want := range map[int]bool{40: true, 5000: name == "candidates"} {
			d := write(n)
			_, _, err := readOffer(d, maxSections)
			_, answerErr := readAnswer(d, maxSections)
			if (err == nil) != want || (answerErr == nil) != want {
				t.Errorf("%d times %s: offer: %v, answer: %v", n, name, err, answerErr)
			}
		}
	}
}
