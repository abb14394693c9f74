#include "sync/plan.h"

#include <string.h>
#include <sys/stat.h>

enum { LETTERS = 11, FIRST_ATTRIBUTE = 2 };

static char update_letter(uint32_t iflags)
{
	if (iflags & ITEM_LOCAL_CHANGE)
		return iflags & ITEM_HLINK ? 'h' : 'c';
	if (iflags & ITEM_TRANSFER)
		return iflags & ITEM_SENT ? '<' : '>';
	return '.';
}

static char type_letter(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'L';
	case S_IFCHR:
	case S_IFBLK:
		return 'D';
	case S_IFIFO:
	case S_IFSOCK:
		return 'S';
	default:
		return 'f';
	}
}

void item_letters(uint32_t iflags, uint32_t mode, char out[12])
{
	static const struct {
		uint32_t flag;
		char letter;
	} attributes[] = {
		{ITEM_CHANGE, 'c'},
		{ITEM_SIZE, 's'},
		{ITEM_TIME, 't'},
		{ITEM_PERMS, 'p'},
		{ITEM_OWNER, 'o'},
		{ITEM_GROUP, 'g'},
		{ITEM_ATIME, 'u'},
		{ITEM_ACL, 'a'},
		{ITEM_XATTR, 'x'},
	};
	bool any = false;

	out[0] = update_letter(iflags);
	out[1] = type_letter(mode);
	if (S_ISLNK(mode))
		iflags &= ~(uint32_t)ITEM_SIZE;
	for (size_t i = 0; i < LETTERS - FIRST_ATTRIBUTE; i++) {
		bool set = iflags & attributes[i].flag;
		out[FIRST_ATTRIBUTE + i] = set ? attributes[i].letter : '.';
		any |= set;
	}
	if (iflags & ITEM_TIME_NOW) {
		out[4] = 'T';
		any = true;
	}
	if (iflags & ITEM_IS_NEW)
		memset(out + FIRST_ATTRIBUTE, '+', LETTERS - FIRST_ATTRIBUTE);
	else if (!any && !(iflags & ITEM_TRANSFER && !(iflags & ITEM_LOCAL_CHANGE)))
		memset(out + FIRST_ATTRIBUTE, ' ', LETTERS - FIRST_ATTRIBUTE);
	out[LETTERS] = '\0';
}
