module ohguard/second

go 1.18
