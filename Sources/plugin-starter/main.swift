internal import Glibc

exit(Tool.main())
