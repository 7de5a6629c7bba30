/* The program that the starting benchmarks run. */
int main(void) {
  return 0;
}
