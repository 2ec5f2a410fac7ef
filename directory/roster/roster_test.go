package roster_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"

	"commsd/directory/roster"
)

var limits = roster.Limits{Rows: 100, Bytes: 1 << 20}

const head = "Mã nhân sự,Họ,Đệm,Tên,Thư điện tử,Chức danh,Đơn vị,Loại vị trí\n"

func parse(t *testing.T, text string) (roster.File, *roster.Problems) {
	t.Helper()
	problems := roster.NewProblems(1000)
	return roster.Parse([]byte(text), limits, problems), problems
}

func codes(p *roster.Problems) (out []string) {
	for _, problem := range p.Shown {
		out = append(out, problem.Code)
	}
	return out
}

func TestParse(t *testing.T) {
	want := roster.Row{Line: 2, Key: "NV1", Family: "Nguyễn", Middle: "Thị Thanh", Given: "Đức", Address: "ducntt@a.example",
		Title: "Chuyên viên, hạng II", Unit: "Văn phòng / Phòng Tổng hợp", Kind: "main", Seniority: -1}
	line := `NV1,Nguyễn,Thị  Thanh,Đức,DucNTT@a.example,"Chuyên viên, hạng II",Văn phòng / Phòng Tổng hợp,chính`
	for name, text := range map[string]string{
		"commas":          head + line + "\n",
		"a mark and CRLF": "\uFEFF" + strings.ReplaceAll(head+line+"\n", "\n", "\r\n"),
		"NFD":             norm.NFD.String(head + line),
		"Icelandic eth":   head + strings.ReplaceAll(line, "Đ", "Ð"),
		"semicolons": strings.ReplaceAll(head, ",", ";") +
			"NV1;Nguyễn;Thị Thanh;Đức;ducntt@a.example;Chuyên viên, hạng II;Văn phòng / Phòng Tổng hợp;\n",
		"tabs, another order": "Đơn vị\tHọ và tên\tEmail\tChức vụ\tMã NV\tGhi chú\n" +
			"Văn phòng / Phòng Tổng hợp\tNguyễn Thị Thanh Đức\tducntt@a.example\tChuyên viên, hạng II\tNV1\tđi học\n",
		"English":     "external_key,full name,email,title,unit\nNV1,Nguyễn Thị Thanh Đức,ducntt@a.example,\"Chuyên viên, hạng II\",Văn phòng / Phòng Tổng hợp\n",
		"blank lines": head + "\n,,,,,,,\n" + line,
	} {
		f, problems := parse(t, text)
		if problems.Count != 0 || len(f.Rows) != 1 {
			t.Errorf("%s: %d rows, %+v", name, len(f.Rows), problems.Shown)
			continue
		}
		got := f.Rows[0]
		if name == "blank lines" {
			got.Line = 2
		}
		if got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func TestParseTellsEveryProblem(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
		row        int
	}{
		{"nothing", "", []string{"empty"}, 0},
		{"nobody", head, []string{"no_rows"}, 0},
		{"no columns", "a,b\n1,2\n", []string{"column_missing", "column_missing", "column_missing", "column_missing"}, 1},
		{"twice", "Mã NV,Mã nhân sự,Tên,Đơn vị,Chức danh\n", []string{"column_twice"}, 1},
		{"all of a line", head + "NV1,Lê,,An,a@b.example,CV,P,\n,,,,không,,,khác\n", []string{"no_name", "bad_address", "no_unit", "no_title", "bad_kind"}, 3},
		{"no key", head + ",Lê,,An,,CV,P,\n", []string{"no_key"}, 2},
		{"quotes", head + "NV1,\"Lê\"x,,An,,CV,P,\n", []string{"quotes"}, 2},
		{"an open quote", head + "NV1,\"Lê,,An,,CV,P,\n", []string{"quotes"}, 2},
		{"a separator too many", head + "NV1,Lê,,An,,CV,Phòng A, B,,x\n", []string{"bad_kind", "too_many_cells"}, 2},
		{"text turned around", head + "NV1,Lê,,An\u202e,,CV,P,\n", []string{"control"}, 2},
		{"two alphabets", head + "NV1,Lê,,Аn,,CV,P,\n", []string{"mixed"}, 2}, // a Cyrillic А
		{"a forged family name", head + "NV1,Лe,,An,,CV,P,\n", []string{"mixed"}, 2},
		{"long", head + "NV1,Lê,," + strings.Repeat("a", 60) + ",,CV,P,\n", []string{"too_long"}, 2},
		{"very long", head + "NV1,Lê,," + strings.Repeat("a", 70_000) + ",,CV,P,\n", []string{"line_too_long"}, 2},
		{"very wide", head + "NV1,\"a\nb\"\n" + strings.Repeat(",", 600), []string{"line_too_long"}, 4},
		{"a very wide first line", strings.Repeat("a,", 600) + "\n", []string{"line_too_long"}, 1},
		{"commas in a cell", head + "NV1,Lê,,\"An" + strings.Repeat(",", 600) + "\",,CV,P,\n", []string{"too_long"}, 2},
		{"too many", head + strings.Repeat("NV1,Lê,,An,,CV,P,\n", 101), []string{"too_many_rows"}, 102},
		{"too large", head + strings.Repeat("x", 1<<20), []string{"too_large"}, 0},
	} {
		_, problems := parse(t, c.text)
		got, want := codes(problems), slices.Clone(c.want)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", c.name, got, want)
			continue
		}
		for _, p := range problems.Shown {
			if p.Row != c.row || p.Text == "" || p.Cure == "" {
				t.Errorf("%s: %+v, want line %d", c.name, p, c.row)
			}
		}
	}
}

// Lists in other encodings are refused with the line that shows it and the
// encoding's name; none is read into wrong letters.
func TestParseRefusesOtherEncodings(t *testing.T) {
	var wide []byte
	for _, u := range utf16.Encode([]rune(head)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	plain := "Ma,Ho,Dem,Ten,Email,Chuc danh,Don vi\n"
	for _, c := range []struct {
		name string
		data []byte
		says string
		row  int
	}{
		{"UTF-16 with a mark", append([]byte{0xff, 0xfe}, wide...), "UTF-16", 1},
		{"UTF-16 without", wide, "UTF-16", 1},
		// Windows-1258: ê + a combining mark of its own (0xf2 nặng, 0xec sắc), đ 0xf0.
		{"Windows-1258", []byte(plain + "1,Nguy\xea\xden,Th\xf2i Ti\xea\xecn,\xd0\xfd\xecc,,Chuy\xean vi\xean,V\xe3n pho\xccng\n"), "Windows-1258", 2},
		{"TCVN3", []byte(plain + "1,Nguy\xd4n,Th\xde,\xa7\xf8c,,Chuy\xaan vi\xaan,V\xa8n ph\xb9ng \xae\xb5o t\xb9o\n"), "TCVN3", 2},
		{"VNI", []byte(plain + "1,Nguye\xe3n,Th\xf2,\xd1\xf6\xf9c,,Chuye\xe2n vie\xe2n,Va\xean pho\xf8ng \xf1a\xf8o ta\xefo\n"), "VNI", 2},
		{"VNI taken for Latin", mustUTF8([]byte(plain + "1,Nguye\xe3n,Va\xean,\xd1\xf6\xf9c,,Chuye\xe2n vie\xe2n,Va\xean pho\xf8ng\n")), "old font", 2},
		{"a spreadsheet", []byte("PK\x03\x04\x14\x00"), "spreadsheet", 0},
	} {
		problems := roster.NewProblems(10)
		f := roster.Parse(c.data, limits, problems)
		if len(f.Rows) != 0 || problems.Count != 1 || problems.Shown[0].Code != "encoding" {
			t.Errorf("%s: %d rows, %+v", c.name, len(f.Rows), problems.Shown)
			continue
		}
		p := problems.Shown[0]
		if !strings.Contains(p.Text, c.says) || p.Row != c.row || !strings.Contains(p.Cure, "UTF-8") {
			t.Errorf("%s: %+v, want %s in line %d", c.name, p, c.says, c.row)
		}
	}
}

func mustUTF8(b []byte) []byte {
	out, err := charmap.Windows1252.NewDecoder().Bytes(b)
	if err != nil {
		return nil
	}
	return out
}

func TestDiffFindsUnits(t *testing.T) {
	state := roster.State{Units: []roster.Unit{
		{ID: "1", Name: "Văn phòng"}, {ID: "2", Parent: "1", Name: "Phòng Tổng hợp"},
		{ID: "3", Name: "Sở Nội vụ"}, {ID: "4", Parent: "3", Name: "Phòng Tổng hợp"}, {ID: "5", Name: "Ban A/B"},
	}}
	for unit, want := range map[string]string{
		"Văn phòng": "1", "văn phòng/phòng tổng hợp": "2", "Sở Nội vụ > Phòng Tổng hợp": "4", "Ban A/B": "5",
		"Phòng Tổng hợp": "many_units", "Phòng": "unknown_unit", "Văn phòng / Sở Nội vụ": "unknown_unit",
	} {
		f, problems := parse(t, head+"NV1,Lê,,An,,CV,"+unit+",\n")
		plan := roster.Diff(f, state, problems)
		got := strings.Join(codes(problems), " ")
		if problems.Count == 0 {
			got = plan.Entries[0].Deed.Begin[0].Unit
		}
		if got != want {
			t.Errorf("%q: %s, want %s", unit, got, want)
		}
	}
}

func TestDiffRefusesTwins(t *testing.T) {
	state := roster.State{Units: []roster.Unit{{ID: "1", Name: "P"}}, People: []roster.Person{
		{ID: "p", Key: "NV7", Given: "Bình", Address: "binh@a.example", Posts: []roster.Post{{ID: "q", Unit: "1", Title: "CV", Kind: "main"}}}}}
	for text, want := range map[string]string{
		"NV1,Lê,,An,,CV,P,\nNV1,Lê,,Ân,,CV,P,\n":                                  "twice",
		"NV1,Lê,,An,an@a.example,CV,P,\nNV2,Lê,,Ân,an@a.example,CV,P,\n":          "twice",
		"NV1,Lê,,An,binh@a.example,CV,P,\n":                                       "address_taken",
		"NV1,Lê,,An,,CV,P,\nNV1,Lê,,An,,Thư ký,P,kiêm nhiệm\n":                    "",
		"NV1,Lê,,An,,CV,P,\nNV1,Lê,,An,,TK,P,kiêm nhiệm\nNV1,Lê,,An,,TK,P,kiêm\n": "post_twice",
		"NV1,Lê,,An,,CV,P,kiêm nhiệm\n":                                           "no_main",
	} {
		f, problems := parse(t, head+text)
		roster.Diff(f, state, problems)
		if got := codes(problems); (want == "") != (len(got) == 0) || want != "" && !slices.Contains(got, want) {
			t.Errorf("%q: %v, want %s", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{head + "NV1,Nguyễn,Văn,An,an@a.example,CV,A / B,chính\n", "\uFEFF\"", "a;b\n\"x\n", "\xff\xfea\x00", head + "\"\"\"\",,,,,,,\n"} {
		f.Add([]byte(s))
	}
	state := roster.State{Units: []roster.Unit{{ID: "1", Name: "A"}, {ID: "2", Parent: "1", Name: "B"}, {ID: "3", Parent: "3", Name: "ring"}}}
	f.Fuzz(func(t *testing.T, data []byte) {
		problems := roster.NewProblems(5)
		file := roster.Parse(data, limits, problems)
		if len(problems.Shown) > 5 || len(problems.Shown) > problems.Count {
			t.Fatalf("%d problems shown of %d", len(problems.Shown), problems.Count)
		}
		for _, p := range problems.Shown {
			if !utf8.ValidString(p.Value+p.Column+p.Text) || p.Cure == "" {
				t.Errorf("problem %+v", p)
			}
		}
		if len(file.Rows) == 0 && problems.Count == 0 {
			t.Error("nobody, and no problem")
		}
		plan := roster.Diff(file, state, problems)
		if problems.Count > 0 {
			return
		}
		for _, r := range file.Rows {
			if r.Given == "" || r.Unit == "" || r.Title == "" || r.Key == "" && r.Address == "" || !norm.NFC.IsNormalString(r.Given) {
				t.Errorf("row %+v", r)
			}
		}
		if plan.Adds+plan.Changes+plan.Moves+plan.Leaves != len(plan.Entries) || plan.Adds == 0 || !bytes.Contains(data, []byte("\n")) {
			t.Errorf("plan %+v", plan)
		}
	})
}
