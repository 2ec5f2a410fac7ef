package intake_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/emersion/go-smtp"

	"commsd/internal/errcode"
	"commsd/internal/testengine"
	"commsd/mail/intake"
	"commsd/mail/mailtest"
	"commsd/mail/mime"
)

func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }

func answer(err error) string {
	var e *smtp.SMTPError
	if !errors.As(err, &e) {
		return fmt.Sprint(err)
	}
	return fmt.Sprintf("%d %d.%d.%d", e.Code, e.EnhancedCode[0], e.EnhancedCode[1], e.EnhancedCode[2])
}

func TestEveryCodeHasItsAnswer(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	for _, code := range errcode.All() {
		got := intake.Answer(t.Context(), logger, "DATA", fmt.Errorf("wrapped: %w", errcode.New(code, "lời giải thích")))
		var e *smtp.SMTPError
		if !errors.As(got, &e) || e.Code/100 != e.EnhancedCode[0] || e.Code < 400 || e.Code > 599 || strings.ContainsAny(e.Message, "\r\nờ") {
			t.Errorf("%s is answered %v", code, got)
		}
	}
	if err := intake.Answer(t.Context(), logger, "DATA", nil); err != nil {
		t.Errorf("nothing wrong is answered %v", err)
	}
	// A defect is logged whole, told to nobody, and costs no mail.
	log.Reset()
	got := intake.Answer(t.Context(), logger, "DATA", errors.New("password=secret"))
	if answer(got) != "451 4.3.0" || strings.Contains(got.Error(), "secret") || !strings.Contains(log.String(), "secret") {
		t.Errorf("a defect is answered %v, and logged as %q", got, log.String())
	}
}

func TestBody(t *testing.T) {
	line := strings.Repeat("x", intake.MaxLine-2) + "\r\n"
	for name, c := range map[string]struct {
		r     io.Reader
		limit int64
		want  string // of the answer; "": all is read
	}{
		"whole":           {strings.NewReader(line + line), 10_000, ""},
		"just":            {strings.NewReader("12345"), 5, ""},
		"too large":       {strings.NewReader("123456"), 5, "552 5.3.4"},
		"long line":       {strings.NewReader("x" + line), 10_000, "554 5.6.0"},
		"long by theirs":  {io.MultiReader(strings.NewReader("x"), iotest.ErrReader(smtp.ErrTooLongLine)), 100, "554 5.6.0"},
		"large by theirs": {iotest.ErrReader(smtp.ErrDataTooLarge), 100, "552 5.3.4"},
		"cut":             {io.MultiReader(strings.NewReader("x"), iotest.ErrReader(io.ErrUnexpectedEOF)), 100, "451 4.4.2"},
		"slow":            {iotest.ErrReader(os.ErrDeadlineExceeded), 100, "451 4.4.2"},
		"CR CR LF":        {strings.NewReader("x\r\r\n"), 100, "550 5.6.0"},
	} {
		b := intake.NewBody(c.r, c.limit)
		_, err := io.Copy(io.Discard, b)
		if c.want == "" && err != nil || c.want != "" && answer(err) != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	// In chunks, whose ends are counted, CR CR LF is for CheckContent to refuse.
	r, w := io.Pipe()
	go func() { _, _ = io.WriteString(w, "x\r\r\n"); w.Close() }()
	if _, err := io.Copy(io.Discard, intake.NewBody(r, 100)); err != nil {
		t.Error(err)
	}
}

func TestCheckContent(t *testing.T) {
	hops := strings.Repeat("Received: by x\r\n", intake.MaxReceived)
	for text, want := range map[string]string{
		"a: b\r\n\r\nx\r\n":      "",
		hops + "\r\n":            "",
		hops + "received: y\r\n": "554 5.4.6",
		"a: b\n":                 "550 5.6.0",
		"a: b\r\n\r\n\n.\r\n":    "550 5.6.0",
		"a: b\r\n\r\nx\r":        "550 5.6.0",
		"":                       "554 5.6.0",
	} {
		m, err := mime.Parse(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := intake.CheckContent(m); want == "" && err != nil || want != "" && answer(err) != want {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

// What the other side calls itself cannot write into our header.
func TestTrace(t *testing.T) {
	trace := intake.Trace{From: "far.example", Remote: "2001:db8::1", By: "mx.example", With: "ESMTPS", ID: "id1", MailFrom: "x@far.example", At: time.Date(2026, 11, 2, 8, 0, 0, 0, time.FixedZone("", 7*3600))}
	const want = "Return-Path: <x@far.example>\r\nDelivered-To: chi@hanoi.example\r\nReceived: from far.example ([IPv6:2001:db8::1])\r\n\tby mx.example with ESMTPS id id1\r\n\tfor <chi@hanoi.example>; Mon, 02 Nov 2026 08:00:00 +0700\r\n"
	if got := string(trace.For("chi@hanoi.example")); got != want {
		t.Errorf("the trace is %q", got)
	}
	for _, hello := range []string{"a b", "a;b", "x\r\nFrom: y", "(c)", "", strings.Repeat("a", 256), "đ"} {
		trace.From = hello
		if got := trace.Received(""); !strings.HasPrefix(got, "Received: from unknown ([IPv6:2001:db8::1])\r\n") || strings.Contains(got, "for <") {
			t.Errorf("%q came to be %q", hello, got)
		}
	}
}

func TestPanicsOfOthersAreCounted(t *testing.T) {
	panics := 0
	l := intake.Logger{Log: mailtest.Quiet(), Panic: func() { panics++ }}
	l.Printf("panic serving %v", "x")
	l.Println("error handling", "y")
	if panics != 1 {
		t.Errorf("%d panics", panics)
	}
}
