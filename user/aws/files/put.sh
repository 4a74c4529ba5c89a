# Never written in place: a program that runs from it, or a crash, would see half of it.
put() { # SOURCE DESTINATION MODE
	install -D -m "$3" "$here/$1" "$2.new"
	mv -f "$2.new" "$2"
}
