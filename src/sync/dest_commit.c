/*
 * Group commit: finished temporary files wait in a queue; one thread takes all that wait, makes their data durable with one
 * syncfs(), and renames them. While it does so the next group gathers. A crash of the machine leaves either the old name or the new,
 * whole file.
 */
#include "sync/dest_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { COMMIT_QUEUE_MAX = 4096 };

struct committer {
	struct dest *d;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work;
	pthread_cond_t room;
	struct commit *queue;
	size_t count;
	bool busy;
	bool ending;
};

static void run(struct committer *c, struct commit *batch, size_t count)
{
	if (syncfs(c->d->p.root_fd) != 0) {
		struct err e;
		err_sys(&e, ERR_IO, "flush the destination's file system");
		dest_fail(c->d, &e);
	}
	for (size_t i = 0; i < count; i++) {
		struct commit *item = &batch[i];
		if (item->file) {
			if (dest_stopped(c->d))
				dest_file_abort(item->file, true);
			else
				dest_file_rename(item->file);
			free(item->file);
		} else {
			if (!dest_stopped(c->d))
				dest_dir_publish_now(item->dir);
			dest_dir_unref(item->dir);
		}
	}
}

static void *committer_thread(void *arg)
{
	struct committer *c = arg;
	struct commit *batch = xmalloc(COMMIT_QUEUE_MAX * sizeof(*batch));

	pthread_mutex_lock(&c->lock);
	for (;;) {
		while (!c->count && !c->ending)
			pthread_cond_wait(&c->work, &c->lock);
		if (!c->count)
			break;
		struct commit *mine = c->queue;
		size_t count = c->count;
		c->queue = batch;
		c->count = 0;
		c->busy = true;
		pthread_cond_broadcast(&c->room);
		pthread_mutex_unlock(&c->lock);
		run(c, mine, count);
		pthread_mutex_lock(&c->lock);
		batch = mine;
		c->busy = false;
		pthread_cond_broadcast(&c->room);
	}
	pthread_mutex_unlock(&c->lock);
	free(batch);
	return NULL;
}

struct committer *committer_new(struct dest *d)
{
	struct committer *c = xcalloc(1, sizeof(*c));

	c->d = d;
	c->queue = xmalloc(COMMIT_QUEUE_MAX * sizeof(*c->queue));
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->work, NULL);
	pthread_cond_init(&c->room, NULL);
	if (pthread_create(&c->thread, NULL, committer_thread, c) != 0)
		BUG("no thread for the committer");
	return c;
}

void committer_free(struct committer *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->ending = true;
	pthread_cond_broadcast(&c->work);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	pthread_cond_destroy(&c->room);
	pthread_cond_destroy(&c->work);
	pthread_mutex_destroy(&c->lock);
	free(c->queue);
	free(c);
}

void committer_add(struct committer *c, struct commit item)
{
	bool own_thread = pthread_equal(pthread_self(), c->thread);

	if (own_thread) { /* a directory whose last file was just renamed: its data was flushed with them */
		if (!dest_stopped(c->d))
			dest_dir_publish_now(item.dir);
		dest_dir_unref(item.dir);
		return;
	}
	pthread_mutex_lock(&c->lock);
	while (c->count == COMMIT_QUEUE_MAX)
		pthread_cond_wait(&c->room, &c->lock);
	c->queue[c->count++] = item;
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
}

void committer_drain(struct committer *c)
{
	pthread_mutex_lock(&c->lock);
	while (c->count || c->busy)
		pthread_cond_wait(&c->room, &c->lock);
	pthread_mutex_unlock(&c->lock);
}
