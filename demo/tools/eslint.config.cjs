// ESLint for the JavaScript samples: correctness rules, and rules about security as errors.
const security = require('eslint-plugin-security');

module.exports = [
  {
    files: ['**/src/**/*.js'],
    languageOptions: {
      ecmaVersion: 2023,
      sourceType: 'commonjs',
    },
    plugins: { security },
    rules: {
      eqeqeq: 'warn',
      'no-eval': 'error',
      'no-new-func': 'error',
      'no-unreachable': 'error',
      'no-unused-vars': 'warn',
      'prefer-const': 'warn',
      'security/detect-child-process': 'error',
      'security/detect-eval-with-expression': 'error',
      'security/detect-non-literal-regexp': 'warn',
      'security/detect-object-injection': 'warn',
      'security/detect-unsafe-regex': 'error',
    },
  },
];
