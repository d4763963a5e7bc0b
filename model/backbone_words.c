#include "model/backbone_parts.h"
#include "model/tokenizer.h"

struct tokenizer *backbone_tokenizer(const struct backbone *b, struct err *err)
{
    char path[PATH_SIZE];
    if (b->is_file)
        return tokenizer_of_gguf(&b->gguf, b->shape.vocab, err);
    if (!path_make(path, err, "%s/tokenizer.json", b->path))
        return NULL;
    return tokenizer_read_foreign(path, b->shape.vocab, err);
}
