/*
 * Manual pages: prose (manual_text.c) and what is generated from tables (cmd_manual.c).
 * Role      pure data.
 */
#ifndef WHERRY_CMD_MANUAL_H
#define WHERRY_CMD_MANUAL_H

enum manual_kind {
	MANUAL_END,
	MANUAL_SECTION, /* .Sh text */
	MANUAL_PART,    /* .Ss text */
	MANUAL_PARA,    /* text, escaped and cut into sentences */
	MANUAL_TERM,    /* .It macro term, then text; neighbours form one list */
	MANUAL_CODE,    /* text as an indented display, line by line */
	MANUAL_MDOC,    /* text is mdoc already */
};

struct manual_piece {
	enum manual_kind kind;
	const char *text;
	const char *term;
	const char *macro; /* of a term: Ev, Pa, Ic ... */
};

struct manual_page {
	const char *topic;                      /* of `wherry manual TOPIC` */
	const char *name;                       /* of the page: wherry-sync */
	const char *title;                      /* the same in capitals */
	const char *text;                       /* .Nd */
	const char *synopsis;                   /* mdoc */
	const struct manual_piece *description; /* before the options */
	const struct manual_piece *context;     /* between the options and EXIT STATUS */
	const struct manual_piece *conclusion;  /* behind EXIT STATUS */
};

extern const char manual_date[];
extern const struct manual_page manual_pages[]; /* ended by one without a topic */

#endif
