package roster

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"commsd/internal/fold"
)

// Limits bound what Parse reads.
type Limits struct {
	Rows  int // lines of people
	Bytes int
}

// Row is one line of a list: a person's post.
type Row struct {
	Line                  int
	Key                   string // of the personnel system; may be empty
	Family, Middle, Given string
	Address               string // lower case; may be empty
	Title                 string
	Unit                  string // "A / B / C"
	Kind                  string // main, concurrent or acting
	Seniority             int    // -1: not said
	Phone, Mobile, Office string
}

// File is a list that was read.
type File struct {
	Rows    []Row
	Columns []string // that were understood
	Ignored []string // headers of the others
	has     map[string]bool
	header  map[string]string // column → its header, for problems
}

// Has tells whether the list has a column; what it does not have stays as it
// is in the directory.
func (f File) Has(column string) bool { return f.has[column] }

// Parse reads a list: UTF-8 with or without a byte order mark; commas,
// semicolons or tabs; the first line names the columns, in Vietnamese or
// English, in any order. What is wrong goes to problems, all of it that can be
// told; a list with problems must not be used.
func Parse(data []byte, limits Limits, problems *Problems) File {
	var f File
	if len(data) > limits.Bytes {
		problems.add(0, "", "", "too_large", "the file has %d bytes, more than the %d that are taken", "split the list by unit, or ask the administrator to raise import.max_bytes", len(data), limits.Bytes)
		return f
	}
	if !checkEncoding(data, problems) {
		return f
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	comma := separator(data)
	if !checkLines(data, byte(comma), problems) {
		return f
	}
	reader := csv.NewReader(bytes.NewReader(data))
	reader.Comma = comma
	reader.FieldsPerRecord = -1
	reader.ReuseRecord = true
	head, err := reader.Read()
	if err != nil {
		if errors.Is(err, io.EOF) {
			problems.add(0, "", "", "empty", "the file is empty", "send a list whose first line names the columns")
		} else {
			quoteProblem(err, problems)
		}
		return f
	}
	columns := f.readHeader(head, problems)
	if problems.Count > 0 {
		return f
	}
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			quoteProblem(err, problems)
			return f // behind a broken quote no line is what it seems
		}
		line, _ := reader.FieldPos(0)
		if blank(record) {
			continue
		}
		if len(f.Rows) == limits.Rows {
			problems.add(line, "", "", "too_many_rows", "the list has more than %d lines", "split it by unit, or ask the administrator to raise import.max_rows", limits.Rows)
			return f
		}
		f.Rows = append(f.Rows, f.readRow(line, record, columns, problems))
	}
	if len(f.Rows) == 0 {
		problems.add(0, "", "", "no_rows", "the list names columns but nobody", "send a list with at least one line of people")
	}
	return f
}

// A line of people is neither as long nor as wide as these. They are looked
// for before the list is read, since what is made of a line takes a hundred
// times the memory that its separators do.
const (
	maxLineBytes = 64 << 10
	maxLineCells = 500
)

// checkLines refuses a list with such a line. Where quotation marks do not
// match it may take several for one; the reader, which sees that, has not gone
// further than it then.
func checkLines(data []byte, comma byte, problems *Problems) bool {
	line, first, start, cells, quoted := 1, 1, 0, 1, false
	for i, b := range data {
		switch {
		case b == '"':
			quoted = !quoted
		case b == '\n':
			line++
			if !quoted {
				first, start, cells = line, i+1, 1
			}
		case b == comma && !quoted:
			cells++
		}
		if i-start >= maxLineBytes || cells > maxLineCells {
			problems.add(first, "", "", "line_too_long", "the line is longer than %d bytes or has more than %d cells",
				"look whether quotation marks match, and whether it is a list of people at all", maxLineBytes, maxLineCells)
			return false
		}
	}
	return true
}

// separator is the one that the first line has most of.
func separator(data []byte) rune {
	line, _, _ := bytes.Cut(data, []byte("\n"))
	best, most := ',', 0
	for _, r := range []rune{',', ';', '\t'} {
		if n := bytes.Count(line, []byte(string(r))); n > most {
			best, most = r, n
		}
	}
	return best
}

func quoteProblem(err error, problems *Problems) {
	row := 0
	var at *csv.ParseError
	if errors.As(err, &at) {
		row = at.StartLine
	}
	problems.add(row, "", "", "quotes", "the quotation marks of this line do not match", `write a quotation mark inside of a quoted cell twice: ""`)
}

func blank(record []string) bool {
	for _, cell := range record {
		if strings.TrimSpace(cell) != "" {
			return false
		}
	}
	return true
}

func (f *File) readHeader(head []string, problems *Problems) []string {
	f.has, f.header = map[string]bool{}, map[string]string{}
	columns := make([]string, len(head))
	for i, name := range head {
		name = clean(name)
		c := columnOf(name)
		switch {
		case c == columnUnknown:
			if name != "" {
				f.Ignored = append(f.Ignored, shorten(name))
			}
		case f.has[c]:
			problems.add(1, name, "", "column_twice", "the columns %q and %q say the same", "keep one of them", f.header[c], name)
		default:
			f.has[c], f.header[c] = true, name
			f.Columns = append(f.Columns, c)
			columns[i] = c
		}
	}
	need := func(ok bool, what, cure string) {
		if !ok {
			problems.add(1, "", "", "column_missing", "there is no column for %s", cure, what)
		}
	}
	need(f.has[ColumnName] || f.has[ColumnGiven], "the name", `name a column "Họ và tên", or three: "Họ", "Đệm", "Tên"`)
	need(f.has[ColumnKey] || f.has[ColumnAddress], "what tells people apart", `name a column "Mã nhân sự" or "Email"`)
	need(f.has[ColumnUnit], "the unit", `name a column "Đơn vị"`)
	need(f.has[ColumnTitle], "the title", `name a column "Chức danh"`)
	return columns
}

// The longest cells that are taken, in letters.
var longest = map[string]int{ColumnKey: 64, ColumnFamily: 50, ColumnMiddle: 80, ColumnFirst: 80, ColumnGiven: 50, ColumnName: 80, ColumnAddress: 254,
	ColumnTitle: 150, ColumnUnit: 1000, ColumnKind: 50, ColumnSeniority: 8, ColumnPhone: 40, ColumnMobile: 40, ColumnOffice: 150}

func (f *File) readRow(line int, record, columns []string, problems *Problems) Row {
	r := Row{Line: line, Kind: positionMain, Seniority: -1}
	cells := map[string]string{}
	for i, cell := range record {
		if i >= len(columns) {
			if strings.TrimSpace(cell) != "" {
				problems.add(line, "", cell, "too_many_cells", "the line has %d cells, the first line names %d columns", "put cells that hold the separator into quotation marks", len(record), len(columns))
				break
			}
			continue
		}
		c := columns[i]
		if c == columnUnknown {
			continue
		}
		cell = clean(cell)
		switch {
		case strings.ContainsFunc(cell, fold.Hidden):
			problems.add(line, f.header[c], cell, "control", "the cell holds a character that cannot be seen or turns the text around", "type the cell anew")
		case utf8.RuneCountInString(cell) > longest[c]:
			problems.add(line, f.header[c], cell, "too_long", "the cell has more than %d letters", "shorten it", longest[c])
		}
		cells[c] = cell
	}
	bad := func(c, code, text, cure string) {
		problems.add(line, f.header[c], cells[c], code, text, cure)
	}
	r.Key, r.Title, r.Unit = cells[ColumnKey], cells[ColumnTitle], cells[ColumnUnit]
	r.Phone, r.Mobile, r.Office = cells[ColumnPhone], cells[ColumnMobile], cells[ColumnOffice]
	r.Address = strings.ToLower(cells[ColumnAddress])
	f.readName(&r, cells)
	if whole := r.Family + r.Middle + r.Given; fold.Mixed(whole) {
		problems.add(line, f.header[ColumnName], clean(r.Family+" "+r.Middle+" "+r.Given), "mixed", "the name has letters of two alphabets that look alike", "type the name anew")
	}
	if fold.Blank(r.Given) {
		c := ColumnGiven
		if !f.has[c] {
			c = ColumnName
		}
		bad(c, "no_name", "the line has no name", "write the name, or remove the line")
	}
	if r.Key == "" && r.Address == "" {
		bad(ColumnKey, "no_key", "the line has neither a personnel number nor a mail address", "write one of them: it tells this person from others")
	}
	if r.Address != "" && !address(r.Address) {
		bad(ColumnAddress, "bad_address", "this is no mail address", "write it as name@domain")
	}
	if r.Unit == "" {
		bad(ColumnUnit, "no_unit", "the line has no unit", "write the unit, with those above it: A / B / C")
	}
	if r.Title == "" {
		bad(ColumnTitle, "no_title", "the line has no title", "write the title, such as Chuyên viên")
	}
	kind, ok := kinds[fold.String(cells[ColumnKind])]
	if !ok {
		bad(ColumnKind, "bad_kind", "this is no kind of position", "write chính, kiêm nhiệm or quyền")
	}
	r.Kind = kind
	if s := cells[ColumnSeniority]; s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 || n > 1_000_000 {
			bad(ColumnSeniority, "bad_number", "this is no number from 0 to 1000000", "write 0 for the head of the unit, a larger number for others")
		} else {
			r.Seniority = n
		}
	}
	return r
}

func (f *File) readName(r *Row, cells map[string]string) {
	switch {
	case cells[ColumnGiven] != "":
		r.Family, r.Middle, r.Given = cells[ColumnFamily], cells[ColumnMiddle], cells[ColumnGiven]
		if first := cells[ColumnFirst]; first != "" && r.Family == "" {
			r.Family, r.Middle, _ = strings.Cut(first, " ")
		}
	default:
		r.Family, r.Middle, r.Given = SplitName(cells[ColumnName])
	}
}

// address tells whether s may be the mail address of somebody here, which is
// plain letters without marks.
func address(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	if !ok || local == "" || len(local) > 64 || strings.Trim(local, letters+".-_+'") != "" ||
		strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return false
	}
	labels := strings.Split(domain, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, letters+"-") != "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	return len(labels) > 1
}
