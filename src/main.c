#include "sync/sync.h"
#include <stdio.h>
int main(int argc, char **argv)
{
	struct sync_options o; char **args; int n; struct err e={0}; struct endpoint a,b;
	sync_options_init(&o);
	if (opt_parse(sync_option_table,&o,argc-1,argv+1,&args,&n,&e)!=0 || sync_options_check(&o,&e)!=0 || n!=2 || sync_options_read_files_from(&o,&e) || endpoint_parse(&a,args[0],&e)||endpoint_parse(&b,args[1],&e)) { fprintf(stderr,"%s\n",e.text); return 1; }
	return sync_main(&o,&a,&b);
}
