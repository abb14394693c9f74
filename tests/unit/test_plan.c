/* rsync's itemize letters. The expected strings are what `rsync -i` and `-ii` print for these situations. */
#include "sync/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <sys/stat.h>

static const struct {
	const char *what;
	uint32_t iflags;
	uint32_t mode;
	const char *letters;
} cases[] = {
	{"new file, pulled or local", ITEM_TRANSFER | ITEM_IS_NEW, S_IFREG | 0644, ">f+++++++++"},
	{"new file, pushed", ITEM_TRANSFER | ITEM_IS_NEW | ITEM_SENT, S_IFREG | 0644, "<f+++++++++"},
	{"new file: differing attributes do not show",
		ITEM_TRANSFER | ITEM_IS_NEW | ITEM_SIZE | ITEM_TIME_NOW, S_IFREG | 0644, ">f+++++++++"},
	{"new directory", ITEM_LOCAL_CHANGE | ITEM_IS_NEW, S_IFDIR | 0755, "cd+++++++++"},
	{"new symlink", ITEM_LOCAL_CHANGE | ITEM_IS_NEW, S_IFLNK | 0777, "cL+++++++++"},
	{"new character device", ITEM_LOCAL_CHANGE | ITEM_IS_NEW, S_IFCHR | 0600, "cD+++++++++"},
	{"new block device", ITEM_LOCAL_CHANGE | ITEM_IS_NEW, S_IFBLK | 0600, "cD+++++++++"},
	{"new fifo", ITEM_LOCAL_CHANGE | ITEM_IS_NEW, S_IFIFO | 0600, "cS+++++++++"},
	{"new socket", ITEM_LOCAL_CHANGE | ITEM_IS_NEW, S_IFSOCK | 0600, "cS+++++++++"},
	{"new hard link", ITEM_LOCAL_CHANGE | ITEM_HLINK | ITEM_IS_NEW, S_IFREG | 0644, "hf+++++++++"},
	{"existing file becomes a hard link", ITEM_LOCAL_CHANGE | ITEM_HLINK, S_IFREG | 0644, "hf         "},
	{"hard link with another time", ITEM_LOCAL_CHANGE | ITEM_HLINK | ITEM_TIME, S_IFREG | 0644,
		"hf..t......"},
	{"content, size and time", ITEM_TRANSFER | ITEM_SIZE | ITEM_TIME, S_IFREG | 0644, ">f.st......"},
	{"time only, content travels", ITEM_TRANSFER | ITEM_TIME, S_IFREG | 0644, ">f..t......"},
	{"--checksum found other content", ITEM_TRANSFER | ITEM_CHANGE, S_IFREG | 0644, ">fc........"},
	{"--ignore-times: nothing differs, content travels", ITEM_TRANSFER, S_IFREG | 0644, ">f........."},
	{"times not kept", ITEM_TRANSFER | ITEM_SIZE | ITEM_TIME | ITEM_TIME_NOW, S_IFREG | 0644,
		">f.sT......"},
	{"times not kept, flag alone", ITEM_TRANSFER | ITEM_SIZE | ITEM_TIME_NOW, S_IFREG | 0644,
		">f.sT......"},
	{"mode only", ITEM_PERMS, S_IFREG | 0644, ".f...p....."},
	{"mode, owner and group", ITEM_PERMS | ITEM_OWNER | ITEM_GROUP, S_IFREG | 0644, ".f...pog..."},
	{"access time", ITEM_ATIME, S_IFREG | 0644, ".f......u.."},
	{"ACL", ITEM_ACL, S_IFREG | 0644, ".f.......a."},
	{"extended attributes", ITEM_XATTR, S_IFREG | 0644, ".f........x"},
	{"time of a directory", ITEM_TIME, S_IFDIR | 0755, ".d..t......"},
	{"symlink points elsewhere", ITEM_LOCAL_CHANGE | ITEM_CHANGE | ITEM_TIME, S_IFLNK | 0777,
		"cLc.t......"},
	{"a symlink's size never shows", ITEM_LOCAL_CHANGE | ITEM_CHANGE | ITEM_SIZE, S_IFLNK | 0777,
		"cLc........"},
	{"symlink that cannot keep its time", ITEM_LOCAL_CHANGE | ITEM_CHANGE | ITEM_TIME | ITEM_TIME_NOW,
		S_IFLNK | 0777, "cLc.T......"},
	{"device with other numbers", ITEM_LOCAL_CHANGE | ITEM_CHANGE, S_IFCHR | 0600, "cDc........"},
	{"unchanged file (-ii)", 0, S_IFREG | 0644, ".f         "},
	{"unchanged directory (-ii)", 0, S_IFDIR | 0755, ".d         "},
	{"unchanged symlink (-ii)", ITEM_SIZE, S_IFLNK | 0777, ".L         "},
	{"local change without differing attributes", ITEM_LOCAL_CHANGE, S_IFLNK | 0777, "cL         "},
};

static void letters_are_those_of_rsync(void **state)
{
	char got[12];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(got, '#', sizeof(got));
		item_letters(cases[i].iflags, cases[i].mode, got);
		if (strcmp(got, cases[i].letters) != 0)
			fail_msg("%s: \"%s\", expected \"%s\"", cases[i].what, got, cases[i].letters);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(letters_are_those_of_rsync)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
