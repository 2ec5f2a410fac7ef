package password

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

var policy = Policy{Alone: 15, WithFactor: 8}

// Of an official of the demo: login, name, agency, unit.
var known = []string{"an", "noivu", "g2g", "example", "annoivug2gexample", "nguyen", "van", "nguyenvanan", "commsd", "bo", "noi", "vu", "bonoivu", "bnv", "0912345678"}

// reason is why p refuses typed; empty when it takes it.
func reason(t *testing.T, p Policy, typed string, second bool) string {
	t.Helper()
	err := p.Check(typed, second, known)
	if err == nil {
		return ""
	}
	var r *Refusal
	if !errors.As(err, &r) {
		t.Fatal(err)
	}
	if r.Error() == "" {
		t.Errorf("%q is refused without a word", typed)
	}
	return r.Reason
}

func TestPolicy(t *testing.T) {
	for _, c := range []struct {
		typed               string
		alone, withAnFactor string
	}{
		// Length is counted in characters as people see them.
		{"", ReasonShort, ReasonShort},
		{"zk4Vq8w", ReasonShort, ReasonShort},
		{"zk4Vq8wPm", ReasonShort, ""},
		{"mèo đen ngủ trưa", "", ""},
		{norm.NFC.String("ườngặnộếữễịọ"), ReasonShort, ""},
		{strings.Repeat("con mèo trèo cây cau hỏi thăm chú chuột ", 2)[:64], "", ""},
		{strings.Repeat("đường xa nghĩ nỗi sau này mà kinh ", 25)[:1024], "", ""},
		{strings.Repeat("x1!Kq", 205), ReasonLong, ReasonLong},
		// No composition is asked for.
		{"hoa sua thom nong nan goc pho", "", ""},
		{"70394418265093517", "", ""},
		// What everybody tries first, however it is dressed up.
		{"password", ReasonShort, ReasonCommon},
		{"P@ssw0rd", ReasonShort, ReasonCommon},
		{"iloveyou1", ReasonShort, ReasonCommon},
		{"matkhau123", ReasonShort, ReasonCommon},
		{"MậtKhẩu@123", ReasonShort, ReasonCommon},
		{"123456aA@", ReasonShort, ReasonCommon},
		{"passwordpassword", ReasonCommon, ReasonCommon},
		{"matkhau123456789", ReasonCommon, ReasonCommon},
		{"anhyeuem20102015", ReasonCommon, ReasonCommon},
		{"tranthibinh1990", ReasonCommon, ""},
		{"dragonmonkey1234", ReasonCommon, ReasonCommon},
		{"hanoivietnam2025", ReasonCommon, ReasonCommon},
		// Runs and repeats.
		{"aaaaaaaaaaaaaaaaaaaa", ReasonPattern, ReasonPattern},
		{"abcabcabcabcabcabc", ReasonPattern, ReasonPattern},
		{"qwertyuiopasdfghjkl", ReasonCommon, ReasonCommon},
		{"1qaz2wsx3edc4rfv", ReasonPattern, ReasonPattern},
		{"123456789012345678", ReasonPattern, ReasonPattern},
		{"9876543210987654", ReasonPattern, ReasonPattern},
		// What others know of the owner.
		{"an@noivu.g2g.example", ReasonContext, ReasonContext},
		{"NguyenVanAn1990", ReasonContext, ReasonContext},
		{"Nguyễn Văn An 2024", ReasonContext, ReasonContext},
		{"BoNoiVu@2025!!!", ReasonContext, ReasonContext},
		{"commsdcommsdcommsd", ReasonContext, ReasonContext},
		{"0912345678nguyen", ReasonContext, ReasonContext},
		// A word of these within a longer thought is no harm.
		{"Nguyễn Văn An thích ăn phở lúc nửa đêm", "", ""},
	} {
		if got := reason(t, policy, c.typed, false); got != c.alone {
			t.Errorf("%q alone: %q, want %q (%.1f bits)", c.typed, got, c.alone, bits(c.typed))
		}
		if got := reason(t, policy, c.typed, true); got != c.withAnFactor {
			t.Errorf("%q with a second factor: %q, want %q (%.1f bits)", c.typed, got, c.withAnFactor, bits(c.typed))
		}
	}
}

func bits(typed string) float64 {
	common, _ := ranks()
	context := map[string]struct{}{}
	for _, w := range known {
		context[w] = struct{}{}
	}
	return estimate(typed, func(p string) (int, bool) { r, ok := common[p]; return r, ok }, context).bits
}

// The list that is shipped is whole.
func TestCommonPasswords(t *testing.T) {
	common, err := ranks()
	if err != nil || len(common) != 30000 || common["123456"] != 1 || common["password"] != 2 {
		t.Errorf("%d passwords, 123456 is number %d: %v", len(common), common["123456"], err)
	}
}

func TestFurtherList(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.txt")
	const leaked = "Xanh Như Lá Dong Gói Bánh 77"
	if err := os.WriteFile(path, []byte("first\r\n"+leaked+"\n\nlast"), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := ReadList(path)
	if err != nil || list.Len() != 3 {
		t.Fatalf("%d passwords, %v", list.Len(), err)
	}
	p := policy
	p.List = list
	if got := reason(t, policy, leaked, false); got != "" {
		t.Fatalf("without the list it is refused, too: %s", got)
	}
	for _, typed := range []string{leaked, strings.ToUpper(leaked), norm.NFD.String(leaked)} {
		if got := reason(t, p, typed, false); got != ReasonCommon {
			t.Errorf("%q is %q", typed, got)
		}
	}
	if _, err := ReadList(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing list: %v", err)
	}
}

// Judging takes a bounded time, whatever is typed.
func FuzzCheck(f *testing.F) {
	f.Add("Nguyễn Văn An 2024", true)
	f.Add(strings.Repeat("\xff", 40), false)
	f.Fuzz(func(t *testing.T, typed string, second bool) {
		err := policy.Check(typed, second, known)
		var r *Refusal
		if err != nil && !errors.As(err, &r) {
			t.Errorf("%q: %v", typed, err)
		}
		if err == nil && len(typed) > MaxBytes {
			t.Errorf("%d bytes are taken", len(typed))
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	typed := strings.Repeat("đường xa nghĩ nỗi sau này mà kinh ", 25)[:1024]
	for b.Loop() {
		if err := policy.Check(typed, false, known); err != nil {
			b.Fatal(err)
		}
	}
}
