#include "model/readings.h"

/* Softmax over the vocabulary. */
void say_learn(const struct reading *r)
{
    struct policy_work *w = r->work;
    const real *say = params_say(&r->policy->params, &r->policy->shape);
    real *dsay = params_say(r->grads, &r->policy->shape);
    size_t d = r->policy->shape.dim;
    size_t vocab = r->policy->shape.vocab;
    size_t frozen = r->policy->frozen_words;
    for (size_t begin = 0; begin < r->count; begin += w->chunk_rows) {
        size_t count = r->count - begin < w->chunk_rows ? r->count - begin : w->chunk_rows;
        product_nt(w->logits, w->zt + begin * d, say, count, vocab, d, 0);
        for (size_t i = 0; i < count; i++) {
            real *row = w->logits + i * vocab;
            size_t target = w->want[begin + i] - TOKEN;
            real weight = w->weight[begin + i];
            real scale = r->options->scale * r->options->say_weight * weight;
            real logit = row[target];
            r->losses->say +=
                (double)(weight * (r->policy->kernels->softmax(row, vocab, scale) - logit));
            row[target] -= scale;
        }
        product_nn(w->dzt + begin * d, w->logits, say, count, d, vocab, 1);
        REAL_GEMM(CblasRowMajor, CblasTrans, CblasNoTrans, (int)(vocab - frozen), (int)d,
                  (int)count, 1, w->logits + frozen, (int)vocab, w->zt + begin * d, (int)d, 1,
                  dsay + frozen * d, (int)d);
    }
}
