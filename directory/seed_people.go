package directory

// The demo's agencies and people are invented; the agencies' names are those of
// real ones, so that the demo reads as an office reads.

type demoAgency struct {
	identifier, name, nameEN, shortName, domain string
	units                                       []demoUnit // parents before children
}

type demoUnit struct {
	name, nameEN string
	parent       string // name of a unit above; empty: none
	people       []demoPerson
}

type demoPerson struct {
	name    personName
	title   string
	address string // before the @
	account bool
	also    demoPost // a second post; none without a unit
}

type demoPost struct {
	unit, title, kind string
	seniority         int
}

// demoAdmin is an office, not a person; its one name is what it is addressed by.
var demoAdmin = personName{Given: "Quản trị hệ thống"}

// demoAuditor is one, too.
var demoAuditor = personName{Given: "Kiểm toán hệ thống"}

var demoAgencies = []demoAgency{
	{
		identifier: "G09", name: "Bộ Nội vụ", nameEN: "Ministry of Home Affairs", shortName: "BNV", domain: "noivu.g2g.example",
		units: []demoUnit{
			{name: "Lãnh đạo Bộ", nameEN: "Ministry leadership", people: []demoPerson{
				{name: personName{"Trương", "Hải", "Long"}, title: "Thứ trưởng", address: "longth"},
				{name: personName{"Phan", "Thị Thuỳ", "Dương"}, title: "Thứ trưởng", address: "duongptt"},
			}},
			{name: "Văn phòng Bộ", nameEN: "Ministry Office", people: []demoPerson{
				{name: personName{"Ngô", "Quang", "Đức"}, title: "Chánh Văn phòng", address: "ducnq"},
				{name: personName{"Vũ", "Thị Hồng", "Hạnh"}, title: "Phó Chánh Văn phòng", address: "hanhvth"},
			}},
			{name: "Phòng Hành chính", nameEN: "Administration Division", parent: "Văn phòng Bộ", people: []demoPerson{
				{name: personName{"Đặng", "Thị", "Ngọc"}, title: "Trưởng phòng", address: "ngocdt"},
				{name: personName{"Bùi", "Thị Kim", "Oanh"}, title: "Văn thư", address: "oanhbtk"},
			}},
			{name: "Phòng Tổng hợp", nameEN: "General Affairs Division", parent: "Văn phòng Bộ", people: []demoPerson{
				{name: personName{"Hồ", "Anh", "Tuấn"}, title: "Trưởng phòng", address: "tuanha"},
			}},
			{name: "Vụ Cải cách hành chính", nameEN: "Department of Administrative Reform", people: []demoPerson{
				{name: personName{"Trần", "Thanh", "Bình"}, title: "Phó Vụ trưởng", address: "binh", account: true,
					also: demoPost{unit: "Trung tâm Công nghệ thông tin", title: "Giám đốc", kind: KindActing}},
				{name: personName{"Nguyễn", "Văn", "An"}, title: "Chuyên viên chính", address: "an", account: true,
					also: demoPost{unit: "Phòng Tổng hợp", title: "Thư ký Ban Chỉ đạo cải cách hành chính", kind: KindConcurrent, seniority: 1}},
				{name: personName{"Lý", "Thu", "Ân"}, title: "Chuyên viên", address: "anlt"},
			}},
			{name: "Vụ Tổ chức - Biên chế", nameEN: "Department of Organisation and Staffing", people: []demoPerson{
				{name: personName{"Nguyễn", "Hữu", "Đức"}, title: "Vụ trưởng", address: "ducnh"},
				{name: personName{"Mai", "Phương", "Thảo"}, title: "Chuyên viên chính", address: "thaomp"},
			}},
			{name: "Trung tâm Công nghệ thông tin", nameEN: "Information Technology Centre", people: []demoPerson{
				{name: personName{"Cao", "Xuân", "Sơn"}, title: "Phó Giám đốc", address: "soncx"},
				{name: personName{"Đinh", "Tiến", "Dục"}, title: "Kỹ sư hệ thống", address: "ducdt"},
			}},
		},
	},
	{
		identifier: "H26", name: "UBND thành phố Hà Nội", nameEN: "Hanoi People's Committee", shortName: "UBND TP Hà Nội", domain: "hanoi.g2g.example",
		units: []demoUnit{
			{name: "Lãnh đạo Ủy ban", nameEN: "Committee leadership", people: []demoPerson{
				{name: personName{"Dương", "Đức", "Thắng"}, title: "Phó Chủ tịch", address: "thangdd"},
			}},
			{name: "Văn phòng UBND thành phố", nameEN: "Office of the People's Committee", people: []demoPerson{
				{name: personName{"Lê", "Thị Kim", "Chi"}, title: "Phó Chánh Văn phòng", address: "chi", account: true},
				{name: personName{"Tô", "Minh", "Đức"}, title: "Chuyên viên chính", address: "ductm"},
			}},
			{name: "Phòng Nội chính", nameEN: "Internal Affairs Division", parent: "Văn phòng UBND thành phố", people: []demoPerson{
				{name: personName{"Lương", "Thế", "Vinh"}, title: "Trưởng phòng", address: "vinhlt"},
			}},
			{name: "Phòng Hành chính - Tổ chức", nameEN: "Administration and Organisation Division", parent: "Văn phòng UBND thành phố", people: []demoPerson{
				{name: personName{"Trịnh", "Thị", "Yến"}, title: "Văn thư", address: "yentt"},
			}},
			{name: "Sở Nội vụ", nameEN: "Department of Home Affairs", people: []demoPerson{
				{name: personName{"Nguyễn", "Thị Bích", "Ngọc"}, title: "Giám đốc Sở", address: "ngocntb"},
				{name: personName{"Phạm", "Anh", "Dũng"}, title: "Trưởng phòng Cải cách hành chính", address: "dung", account: true},
				{name: personName{"Hoàng", "Gia", "Khánh"}, title: "Chuyên viên", address: "khanhhg"},
			}},
			{name: "Sở Khoa học và Công nghệ", nameEN: "Department of Science and Technology", people: []demoPerson{
				{name: personName{"Đoàn", "Nhật", "Minh"}, title: "Phó Giám đốc Sở", address: "minhdn"},
				{name: personName{"Võ", "Thị Quỳnh", "Như"}, title: "Chuyên viên", address: "nhuvtq"},
			}},
			{name: "Sở Tài chính", nameEN: "Department of Finance", people: []demoPerson{
				{name: personName{"Tạ", "Quốc", "Việt"}, title: "Trưởng phòng Ngân sách", address: "viettq"},
			}},
		},
	},
}
